"""The group graph on a real database."""

import asyncio
from datetime import date, timedelta

import pytest

from kabao.base.db import Database, fetch_value
from kabao.base.errors import INVALID, NOT_FOUND, Code, KabaoError
from kabao.org.model import (
    COMPANY_CLOSED,
    COMPANY_IN_USE,
    CREDIT_CODE_INVALID,
    ISSUER_NOT_BRAND,
    LINK_OVERLAPS,
    ORG_TAKEN,
    PARENT_INVALID,
    STORE_CLOSED,
    STORE_OUTSIDE_GROUP,
    CompanyChange,
    IssuerType,
    Jurisdiction,
    Standing,
    StoreChange,
)
from kabao.org.ops import Org

from . import make

CREDIT_CODE = "91350100M000100Y43"
TODAY = make.START.date()
NOBODY = "f" * 32


async def test_a_company_and_its_store_are_as_they_were_said(db: Database) -> None:
    org = make.org(db)
    async with db.transaction() as conn:
        company = await make.company(
            conn,
            org,
            issuer_type=IssuerType.GROUP,
            jurisdiction=Jurisdiction.SHANGHAI,
            credit_code=CREDIT_CODE,
        )
        store = await make.store(conn, org, company.id, region="上海", city="上海")
    async with db.read() as conn:
        assert await org.get_company(conn, company.id) == company
        assert await org.get_store(conn, store.id) == store
    assert (company.created_at, store.is_open) == (make.START, True)
    assert len(store.merchant_no) == 15


async def test_the_snapshot_follows_every_change(db: Database) -> None:
    here, there = make.org(db), make.org(db)
    assert not await there.refresh()
    async with db.transaction() as conn:
        head = await make.company(conn, here)
        store = await make.store(conn, here, head.id)
        assert here.store(store.id) is None, "nothing shows before it is committed"
    assert await there.refresh()
    assert not await there.refresh()
    assert there.company(head.id) == head
    assert there.store(store.id) == store
    assert there.store_by_merchant_no(store.merchant_no) == store
    assert there.accepts(head.id, store.id)
    async with db.transaction() as conn:
        await here.close_store(conn, store.id)
        renamed = await here.change_company(conn, head.id, CompanyChange(name="新名"))
    assert await there.refresh()
    assert there.company(head.id) == renamed
    assert there.refusal(head.id, store.id) is STORE_CLOSED


async def test_what_another_process_has_just_opened_is_found(db: Database) -> None:
    here, there = make.org(db), make.org(db)
    assert await there.find_store(NOBODY) is None
    async with db.transaction() as conn:
        head = await make.company(conn, here)
        store = await make.store(conn, here, head.id)
    assert there.store(store.id) is None
    assert await there.find_store(store.id) == store
    assert there.accepts(head.id, store.id)


@pytest.mark.row("L-12", "P-07")
async def test_a_store_outside_the_group_is_refused_with_its_rule(db: Database) -> None:
    org = make.org(db)
    async with db.transaction() as conn:
        head = await make.company(conn, org)
        daughter = await make.company(conn, org, "子公司", parent=head.id)
        stranger = await make.company(conn, org, "外人")
        inside = await make.store(conn, org, daughter.id)
        outside = await make.store(conn, org, stranger.id)
    await org.refresh()
    assert org.group(daughter.id) == head.id
    assert org.require_accepted(head.id, inside.id) == inside
    assert org.refusal(head.id, inside.id) is None
    for store in (outside.id, NOBODY):
        assert not org.accepts(head.id, store)
        with pytest.raises(KabaoError) as refused:
            org.require_accepted(head.id, store)
        assert (refused.value.code, refused.value.rule) == (STORE_OUTSIDE_GROUP, "CX8")
        assert refused.value.field == "store"


async def test_acceptance_follows_the_parent(db: Database) -> None:
    org = make.org(db)
    async with db.transaction() as conn:
        head = await make.company(conn, org)
        bought = await make.company(conn, org, "收购")
        store = await make.store(conn, org, bought.id)
    await org.refresh()
    assert not org.accepts(head.id, store.id)
    async with db.transaction() as conn:
        await org.change_company(conn, bought.id, CompanyChange(parent=head.id))
    await org.refresh()
    assert org.accepts(head.id, store.id)
    async with db.transaction() as conn:
        await org.change_company(conn, bought.id, CompanyChange(parent=None))
    await org.refresh()
    assert not org.accepts(head.id, store.id)


async def test_a_brand_link_holds_by_the_business_day(db: Database) -> None:
    clock = make.clock()
    org = make.org(db, clock)
    async with db.transaction() as conn:
        brand = await make.brand(conn, org)
        franchisee = await make.company(conn, org, "加盟商")
        store = await make.store(conn, org, franchisee.id)
        tomorrow = TODAY + timedelta(days=1)
        link = await org.link_brand(
            conn, brand.id, franchisee.id, tomorrow, tomorrow + timedelta(days=1)
        )
    await org.refresh()
    assert not org.accepts(brand.id, store.id)
    assert org.accepts(brand.id, store.id, on=tomorrow)
    clock.advance(timedelta(days=1))
    assert org.accepts(brand.id, store.id)
    clock.advance(timedelta(days=1))
    assert not org.accepts(brand.id, store.id)
    async with db.read() as conn:
        assert await org.list_links(conn, after=None, limit=10) == [link]


async def test_a_link_ended_today_accepts_nothing_today(db: Database) -> None:
    org = make.org(db)
    async with db.transaction() as conn:
        brand = await make.brand(conn, org)
        franchisee = await make.company(conn, org, "加盟商")
        store = await make.store(conn, org, franchisee.id)
        link = await org.link_brand(conn, brand.id, franchisee.id, TODAY)
    await org.refresh()
    assert org.accepts(brand.id, store.id)
    async with db.transaction() as conn:
        await org.end_link(conn, link.id, TODAY)
        again = await org.link_brand(conn, brand.id, franchisee.id, TODAY + timedelta(days=5))
    await org.refresh()
    assert not org.accepts(brand.id, store.id)
    assert org.accepts(brand.id, store.id, on=again.from_date)


@pytest.mark.parametrize(
    ("until", "code"),
    [
        (TODAY - timedelta(days=1), INVALID),
        (TODAY + timedelta(days=11), INVALID),
        (TODAY + timedelta(days=10), None),
        (TODAY, None),
    ],
)
async def test_a_link_is_only_shortened_and_never_in_the_past(
    db: Database, until: date, code: Code | None
) -> None:
    org = make.org(db)
    async with db.transaction() as conn:
        brand = await make.brand(conn, org)
        member = await make.company(conn, org, "加盟商")
        end = TODAY + timedelta(days=10)
        link = await org.link_brand(conn, brand.id, member.id, TODAY, end)
        if code is None:
            assert (await org.end_link(conn, link.id, until)).until_date == until
        else:
            with pytest.raises(KabaoError) as refused:
                await org.end_link(conn, link.id, until)
            assert refused.value.code is code


async def test_who_may_be_linked(db: Database) -> None:
    org = make.org(db)
    async with db.transaction() as conn:
        brand = await make.brand(conn, org)
        member = await make.company(conn, org, "加盟商")
        await org.link_brand(conn, brand.id, member.id, TODAY)

        async def refused(issuer: str, other: str, *days: date) -> Code:
            with pytest.raises(KabaoError) as error:
                await org.link_brand(conn, issuer, other, *days)
            return error.value.code

        assert await refused(brand.id, brand.id, TODAY) is INVALID
        assert await refused(brand.id, member.id, TODAY, TODAY) is INVALID
        assert await refused(brand.id, member.id, TODAY + timedelta(days=9)) is LINK_OVERLAPS
        assert await refused(member.id, brand.id, TODAY) is ISSUER_NOT_BRAND
        assert await refused(brand.id, NOBODY, TODAY) is NOT_FOUND
        assert await refused(NOBODY, member.id, TODAY) is NOT_FOUND


async def test_what_a_company_cannot_be(db: Database) -> None:
    org = make.org(db)
    async with db.transaction() as conn:
        head = await make.company(conn, org, credit_code=CREDIT_CODE)
        daughter = await make.company(conn, org, "子公司", parent=head.id)
        closed = await make.company(conn, org, "关")
        await org.close_company(conn, closed.id)

        async def refused(**said: object) -> Code:
            with pytest.raises(KabaoError) as error:
                await make.company(conn, org, **said)
            return error.value.code

        assert await refused(credit_code=CREDIT_CODE) is ORG_TAKEN
        assert await refused(credit_code=CREDIT_CODE[:-1] + "4") is CREDIT_CODE_INVALID
        assert await refused(parent=NOBODY) is NOT_FOUND
        assert await refused(parent=closed.id) is COMPANY_CLOSED
        with pytest.raises(KabaoError) as error:
            await org.change_company(conn, head.id, CompanyChange(parent=daughter.id))
        assert error.value.code is PARENT_INVALID
        same = await org.change_company(conn, head.id, CompanyChange(credit_code=CREDIT_CODE))
        assert same.credit_code == CREDIT_CODE, "its own code is not taken from it"


async def test_a_company_closes_from_the_leaves_and_opens_from_the_root(db: Database) -> None:
    org = make.org(db)
    async with db.transaction() as conn:
        head = await make.company(conn, org)
        daughter = await make.company(conn, org, "子公司", parent=head.id)
        store = await make.store(conn, org, daughter.id)
        for company in (head, daughter):
            with pytest.raises(KabaoError) as refused:
                await org.close_company(conn, company.id)
            assert refused.value.code is COMPANY_IN_USE
        await org.close_store(conn, store.id)
        await org.close_company(conn, daughter.id)
        assert (await org.close_company(conn, head.id)).state is Standing.CLOSED
        for reopening in (org.reopen_store(conn, store.id), org.reopen_company(conn, daughter.id)):
            with pytest.raises(KabaoError) as refused:
                await reopening
            assert refused.value.code is COMPANY_CLOSED
        await org.reopen_company(conn, head.id)
        await org.reopen_company(conn, daughter.id)
        reopened = await org.reopen_store(conn, store.id)
        assert reopened.is_open
        assert reopened.closed_at is None


async def test_closing_a_store_twice_keeps_the_first_moment(db: Database) -> None:
    clock = make.clock()
    org = make.org(db, clock)
    async with db.transaction() as conn:
        head = await make.company(conn, org)
        store = await make.store(conn, org, head.id)
        first = await org.close_store(conn, store.id)
        clock.advance(timedelta(days=1))
        assert await org.close_store(conn, store.id) == first


async def test_numbers_of_stores_are_not_given_twice(db: Database) -> None:
    org = make.org(db)
    async with db.transaction() as conn:
        one = await make.company(conn, org, "一")
        two = await make.company(conn, org, "二")
        await make.store(conn, org, one.id, "001", merchant_no="898440353110001")
        await make.store(conn, org, two.id, "001")
        with pytest.raises(KabaoError) as refused:
            await make.store(conn, org, one.id, "001")
        assert (refused.value.code, refused.value.field) == (ORG_TAKEN, "code")
        with pytest.raises(KabaoError) as refused:
            await make.store(conn, org, two.id, "002", merchant_no="898440353110001")
        assert (refused.value.code, refused.value.field) == (ORG_TAKEN, "merchant_no")


async def test_a_store_changes_its_name_and_keeps_its_numbers(db: Database) -> None:
    org = make.org(db)
    async with db.transaction() as conn:
        head = await make.company(conn, org)
        store = await make.store(conn, org, head.id, city="北京")
        changed = await org.change_store(conn, store.id, StoreChange(name="新店"))
    assert (changed.name, changed.city, changed.code) == ("新店", "北京", store.code)


async def test_lists_go_by_page_and_scope(db: Database) -> None:
    org = make.org(db)
    async with db.transaction() as conn:
        one = await make.company(conn, org, "一")
        two = await make.company(conn, org, "二")
        mine = [await make.store(conn, org, one.id, f"{n}") for n in range(3)]
        other = await make.store(conn, org, two.id)
        await org.close_store(conn, mine[2].id)
    await org.refresh()

    async def ids(**asked: object) -> list[str]:
        given: dict[str, object] = {"companies": None, "stores": None, "after": None, "limit": 9}
        async with db.read() as conn:
            found = await org.list_stores(conn, **(given | asked))
        return [store.id for store in found]

    everything = sorted([other.id, *(store.id for store in mine)])
    assert await ids() == everything
    assert await ids(companies={one.id}) == sorted(store.id for store in mine)
    assert await ids(stores={other.id}) == [other.id]
    assert await ids(companies={one.id}, stores={other.id}) == []
    assert await ids(state=Standing.CLOSED) == [mine[2].id]
    assert await ids(limit=2) == everything[:2]
    assert await ids(after=everything[1]) == everything[2:]
    assert org.stores_within(None, None) is None
    assert org.stores_within({two.id}, None) == [other.id]
    assert org.stores_within({one.id}, {mine[0].id, other.id}) == [mine[0].id]


async def test_changes_at_once_come_one_after_another(db: Database) -> None:
    """Two moves that are fine alone, and a circle together: only one of them may happen."""
    org = make.org(db)
    async with db.transaction() as conn:
        one = await make.company(conn, org, "一")
        two = await make.company(conn, org, "二")

    async def move(child: str, parent: str) -> Code | None:
        try:
            async with db.transaction() as conn:
                await org.change_company(conn, child, CompanyChange(parent=parent))
        except KabaoError as refused:
            return refused.code
        return None

    outcomes = await asyncio.gather(move(one.id, two.id), move(two.id, one.id))
    assert set(outcomes) == {None, PARENT_INVALID}
    async with db.read() as conn:
        assert await fetch_value(conn, "select count(distinct revision) from org.company") == 2


async def test_an_unreachable_database_does_not_undo_a_commit() -> None:
    gone = Database("postgresql://nobody@127.0.0.1:1/none", max_size=1)
    org: Org = make.org(gone)
    await org.catch_up()
    assert org.company(NOBODY) is None
