"""Customers, their proofs and consents on a real database."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kabao.base.db import Database
from kabao.base.errors import INVALID, NOT_FOUND, Code, KabaoError
from kabao.customers.model import (
    CONSENT_MISSING,
    CONSENT_WITHDRAWN,
    CUSTOMER_ERASED,
    IDENTITY_TAKEN,
    RETENTION_NOT_OVER,
    REWRAP_TARGETS,
    VERIFICATION_IMPOSSIBLE,
    ConsentKind,
    CustomerChange,
    CustomerState,
    Level,
    LookKind,
    Method,
    NewConsent,
)
from kabao.customers.personal import IDENTITY_INVALID, Identity, IdentityType
from kabao.vault.model import unpack
from kabao.vault.ops import Rotation

from . import make

TODAY = make.START.date()
NOBODY = "f" * 32
RESIDENT = Identity(IdentityType.RESIDENT_ID, make.RESIDENT)
PRIVACY = NewConsent(kind=ConsentKind.PRIVACY, version="3", document_hash=make.HASH)
BIOMETRIC = NewConsent(kind=ConsentKind.BIOMETRIC, version="1", document_hash=make.HASH)


@pytest.fixture
def house(db: Database, tmp_path: Path) -> make.House:
    return make.House(db, tmp_path)


async def raw(house: make.House) -> str:
    """Every row of the slice, as text."""
    text = ""
    async with house.db.read() as conn:
        for table in ("customer", "verification", "consent"):
            rows = await conn.execute(f"select t::text from customers.{table} t")
            text += "".join(row[0] for row in await rows.fetchall())
    return text


async def test_a_customer_is_kept_sealed_and_read_back(house: make.House) -> None:
    async with house.db.transaction() as conn:
        company = await make.company(conn, house)
        known = await make.person(
            conn, house, company, address="上海市黄浦区", email="zhang@example.cn"
        )
    async with house.db.read() as conn:
        assert await house.customers.get(conn, known.id) == known
    assert known.profile is not None
    assert known.profile.phone == "+8613800001234"
    assert known.level is Level.NONE
    stored = await raw(house)
    for secret in (make.NAME, make.PHONE, make.RESIDENT, "上海市", "zhang@"):
        assert secret not in stored
        assert secret.encode().hex() not in stored


@pytest.mark.parametrize("typed", ["13800001234", "+86 138-0000-1234", "１３８ ００００ １２３４"])
async def test_a_phone_is_found_however_it_is_typed(house: make.House, typed: str) -> None:
    async with house.db.transaction() as conn:
        company = await make.company(conn, house)
        other = await make.company(conn, house, "别家")
        mine = await make.person(conn, house, company)
        wife = await make.person(conn, house, company, name="李四", identity=None)
        await make.person(conn, house, company, phone="13900001234", identity=None)
        theirs = await make.person(conn, house, other)
    async with house.db.read() as conn:
        find = house.customers.find_by_phone
        assert await find(conn, typed) == [theirs, wife, mine]
        assert await find(conn, typed, {company}) == [wife, mine]
        assert await find(conn, typed, set()) == []
        assert await find(conn, "13700001234") == []


async def test_an_identity_stands_once_within_a_company(house: make.House) -> None:
    async with house.db.transaction() as conn:
        company = await make.company(conn, house)
        other = await make.company(conn, house, "别家")
        mine = await make.person(conn, house, company)
        theirs = await make.person(conn, house, other)
        nobody = await make.person(conn, house, company, identity=None)
    lower = Identity(IdentityType.RESIDENT_ID, make.RESIDENT.lower())
    for act in (
        lambda conn: make.person(conn, house, company, name="冒名", identity=lower),
        lambda conn: house.customers.change(conn, nobody.id, CustomerChange(identity=RESIDENT)),
    ):
        with pytest.raises(KabaoError) as refused:
            async with house.db.transaction() as conn:
                await act(conn)
        assert (refused.value.code, refused.value.field) == (IDENTITY_TAKEN, "identity")
    async with house.db.read() as conn:
        assert await house.customers.find_by_identity(conn, lower) == [theirs, mine]
        assert await house.customers.find_by_identity(conn, lower, {company}) == [mine]
        same_number = Identity(IdentityType.OTHER_DOCUMENT, make.RESIDENT)
        assert await house.customers.find_by_identity(conn, same_number) == []


async def test_two_tills_register_one_person_once(house: make.House) -> None:
    async with house.db.transaction() as conn:
        company = await make.company(conn, house)

    async def register() -> Code | None:
        try:
            async with house.db.transaction() as conn:
                await make.person(conn, house, company)
        except KabaoError as refused:
            return refused.code
        return None

    outcomes = await asyncio.gather(*(register() for _ in range(5)))
    assert sorted(map(str, outcomes)) == ["None", *["identity_taken"] * 4]


@pytest.mark.row("CR-82")
async def test_a_correction_is_found_and_the_old_is_not(house: make.House) -> None:
    async with house.db.transaction() as conn:
        company = await make.company(conn, house)
        known = await make.person(conn, house, company, address="上海")
        house.clock.advance(timedelta(minutes=1))
        change = CustomerChange(phone="13900001234", identity=None, address=None)
        changed = await house.customers.change(conn, known.id, change)
        assert changed.profile is not None
        assert (changed.profile.phone, changed.profile.identity) == ("+8613900001234", None)
        assert (changed.profile.name, changed.profile.address) == (make.NAME, None)
        assert changed.updated_at > known.updated_at
        assert await house.customers.get(conn, known.id) == changed
        assert await house.customers.find_by_phone(conn, make.PHONE) == []
        assert await house.customers.find_by_phone(conn, "13900001234") == [changed]
        assert await house.customers.find_by_identity(conn, RESIDENT) == []


@pytest.mark.row("L-13")
async def test_the_level_rises_with_proofs_and_falls_with_what_they_rest_on(
    house: make.House,
) -> None:
    customers = house.customers
    async with house.db.transaction() as conn:
        company = await make.company(conn, house)
        known = await make.person(conn, house, company)

        async def verify(method: Method) -> Level:
            return (await customers.verify(conn, known.id, method, "verifier", "ref-1")).level

        async def change(**said: Any) -> Level:
            return (await customers.change(conn, known.id, CustomerChange(**said))).level

        assert await verify(Method.SMS_CODE) is Level.PHONE
        assert await verify(Method.NAME_ID_PHONE) is Level.IDENTITY
        assert await verify(Method.SMS_CODE) is Level.IDENTITY, "a lower proof lowers nothing"
        assert await change(address="北京") is Level.IDENTITY
        assert await verify(Method.DOCUMENT_AT_COUNTER) is Level.IDENTITY
        assert await change(phone="13900001234") is Level.IDENTITY, "the document still stands"
        assert await change(name="张三") is Level.NONE
        proofs = await customers.verifications(conn, known.id, limit=9)
        assert all(one.voided_at is not None for one in proofs)
        assert [one.method for one in proofs] == [
            Method.SMS_CODE,
            Method.NAME_ID_PHONE,
            Method.SMS_CODE,
            Method.DOCUMENT_AT_COUNTER,
        ]
        assert await change(name=make.NAME) is Level.NONE, "a void proof stays void"
        assert (await customers.get(conn, known.id)).level is Level.NONE


@pytest.mark.row("CR-81")
async def test_a_face_needs_its_own_consent(house: make.House) -> None:
    customers = house.customers
    async with house.db.transaction() as conn:
        company = await make.company(conn, house)
        known = await make.person(conn, house, company, consents=(PRIVACY,))
        with pytest.raises(KabaoError) as refused:
            await customers.verify(conn, known.id, Method.NAME_ID_FACE, "verifier")
        assert (refused.value.code, refused.value.rule) == (CONSENT_MISSING, "CR-81")
        consent = await customers.give_consent(conn, known.id, BIOMETRIC, "staff")
        seen = await customers.verify(conn, known.id, Method.NAME_ID_FACE, "verifier")
        assert seen.level is Level.FACE
        await customers.withdraw_consent(conn, known.id, consent.id)
        with pytest.raises(KabaoError):
            await customers.verify(conn, known.id, Method.NAME_ID_FACE, "verifier")


async def test_a_proof_needs_its_data(house: make.House) -> None:
    async with house.db.transaction() as conn:
        company = await make.company(conn, house)
        unnamed = await make.person(conn, house, company, phone=None, identity=None)
        for method in (Method.SMS_CODE, Method.NAME_ID, Method.DOCUMENT_AT_COUNTER):
            with pytest.raises(KabaoError) as refused:
                await house.customers.verify(conn, unnamed.id, method, "verifier")
            assert refused.value.code is VERIFICATION_IMPOSSIBLE
        unit = await make.unit(conn, house, company)
        verified = await house.customers.verify(conn, unit.id, Method.UNIT_REGISTER, "verifier")
        assert verified.level is Level.IDENTITY


@pytest.mark.row("CR-81", "CR-31")
async def test_a_child_needs_a_guardian(house: make.House) -> None:
    child = Identity(IdentityType.RESIDENT_ID, make.CHILD)
    async with house.db.transaction() as conn:
        company = await make.company(conn, house)
        unknown = await make.person(conn, house, company, identity=None)
        for act in (
            make.person(conn, house, company, identity=child),
            house.customers.change(conn, unknown.id, CustomerChange(identity=child)),
        ):
            with pytest.raises(KabaoError) as refused:
                await act
            assert (refused.value.code, refused.value.rule) == (CONSENT_MISSING, "CR-81")
        known = await make.person(
            conn, house, company, identity=child, consents=(make.FOR_GUARDIAN,)
        )
        assert house.customers.is_minor(known)
        renamed = await house.customers.change(conn, known.id, CustomerChange(name="小明"))
        assert renamed.profile is not None


async def test_a_unit_shows_a_code_and_a_person_a_document(house: make.House) -> None:
    async with house.db.transaction() as conn:
        company = await make.company(conn, house)
        unit = await make.unit(conn, house, company)
        assert not house.customers.is_minor(unit)
        for act in (
            make.unit(conn, house, company, identity=RESIDENT),
            house.customers.change(conn, unit.id, CustomerChange(identity=RESIDENT)),
        ):
            with pytest.raises(KabaoError) as refused:
                await act
            assert refused.value.code is IDENTITY_INVALID


@pytest.mark.row("CR-06")
async def test_a_consent_is_given_once_and_withdrawn_once(house: make.House) -> None:
    customers = house.customers
    async with house.db.transaction() as conn:
        company = await make.company(conn, house)
        known = await make.person(conn, house, company)
        other = await make.person(conn, house, company, identity=None)
        first = await customers.give_consent(conn, known.id, PRIVACY, "staff")
        assert (first.given_at, first.recorded_by, first.stands) == (make.START, "staff", True)
        assert await customers.give_consent(conn, known.id, PRIVACY, "else") == first
        with pytest.raises(KabaoError) as refused:
            await customers.withdraw_consent(conn, other.id, first.id)
        assert refused.value.code is NOT_FOUND
        house.clock.advance(timedelta(days=1))
        gone = await customers.withdraw_consent(conn, known.id, first.id)
        assert gone.withdrawn_at == make.START + timedelta(days=1)
        with pytest.raises(KabaoError) as refused:
            await customers.withdraw_consent(conn, known.id, first.id)
        assert refused.value.code is CONSENT_WITHDRAWN
        second = await customers.give_consent(conn, known.id, PRIVACY, "staff")
        assert await customers.consents(conn, known.id, limit=9) == [gone, second]
        assert await customers.consents(conn, known.id, after=gone.id, limit=9) == [second]
        for hash_ in ("", "AB" * 32, "ab" * 31, "ab" * 32 + "\n"):
            bad = NewConsent(kind=ConsentKind.PRIVACY, version="1", document_hash=hash_)
            with pytest.raises(KabaoError) as refused:
                await customers.give_consent(conn, known.id, bad, "staff")
            assert refused.value.code is INVALID


@pytest.mark.row("CR-82")
async def test_the_customer_gets_all_we_hold(house: make.House) -> None:
    async with house.db.transaction() as conn:
        company = await make.company(conn, house)
        known = await make.person(conn, house, company, consents=(PRIVACY,))
        seen = await house.customers.verify(conn, known.id, Method.SMS_CODE, "verifier", "r1")
        everything = await house.customers.export(conn, known.id)
    assert everything.customer == seen
    assert [one.reference for one in everything.verifications] == ["r1"]
    assert [one.kind for one in everything.consents] == [ConsentKind.PRIVACY]


@pytest.mark.row("CR-11", "CR-85")
async def test_data_is_erased_after_its_time_and_not_a_day_before(house: make.House) -> None:
    customers = house.customers
    async with house.db.transaction() as conn:
        company = await make.company(conn, house)
        known = await make.person(conn, house, company, consents=(PRIVACY,))
        await customers.verify(conn, known.id, Method.SMS_CODE, "verifier", "r1")
    five_years_ago = TODAY.replace(year=TODAY.year - 5)
    async with house.db.transaction() as conn:
        with pytest.raises(KabaoError) as refused:
            await customers.erase(conn, known.id, five_years_ago + timedelta(days=1))
        assert (refused.value.code, refused.value.rule) == (RETENTION_NOT_OVER, "CR-11")
        erased = await customers.erase(conn, known.id, five_years_ago)
        assert (erased.state, erased.profile) == (CustomerState.ERASED, None)
        assert await customers.get(conn, known.id) == erased
        assert await customers.find_by_phone(conn, make.PHONE) == []
        assert await customers.find_by_identity(conn, RESIDENT) == []
        everything = await customers.export(conn, known.id)
        assert [one.reference for one in everything.verifications] == [None]
        for act in (
            customers.change(conn, known.id, CustomerChange(name="x")),
            customers.verify(conn, known.id, Method.SMS_CODE, "verifier"),
            customers.give_consent(conn, known.id, PRIVACY, "staff"),
            customers.erase(conn, known.id, five_years_ago),
        ):
            with pytest.raises(KabaoError) as refused:
                await act
            assert refused.value.code is CUSTOMER_ERASED
        await make.person(conn, house, company)  # who comes back is somebody new


async def test_every_look_is_told(house: make.House) -> None:
    customers = house.customers
    async with house.db.transaction() as conn:
        company = await make.company(conn, house)
        known = await make.person(conn, house, company)
        await customers.get(conn, known.id)
        await customers.find_by_phone(conn, make.PHONE)
        assert house.looks == [], "other slices do not look, they work"
        assert await customers.open(conn, "anna", known.id, None) == known
        assert await customers.seek_by_phone(conn, "anna", make.PHONE, {company}) == [known]
        assert await customers.seek_by_identity(conn, "bert", RESIDENT, None) == [known]
        assert await customers.seek_by_phone(conn, "bert", make.PHONE, set()) == []
        for ident, companies in ((NOBODY, None), (known.id, set[str]())):
            with pytest.raises(KabaoError) as refused:
                await customers.open(conn, "anna", ident, companies)
            assert refused.value.code is NOT_FOUND
    assert [(look.looker, look.kind, look.customer) for look in house.looks] == [
        ("anna", LookKind.OPENED, known.id),
        ("anna", LookKind.BY_PHONE, known.id),
        ("bert", LookKind.BY_IDENTITY, known.id),
        ("bert", LookKind.BY_PHONE, None),
    ]
    assert {look.at for look in house.looks} == {make.START}


async def test_profiles_follow_the_vaults_newest_key(house: make.House) -> None:
    async with house.db.transaction() as conn:
        company = await make.company(conn, house)
        known = await make.person(conn, house, company)
        gone = await make.person(conn, house, company, identity=None)
        await house.customers.erase(conn, gone.id, TODAY.replace(year=TODAY.year - 5))
    done = await Rotation(house.db, house.vault, house.clock, REWRAP_TARGETS).rotate()
    assert (done.rewrapped, done.broken) == (1, 0)
    async with house.db.read() as conn:
        row = await (
            await conn.execute("select profile from customers.customer where id = %s", [known.id])
        ).fetchone()
        assert row is not None
        assert unpack(row[0]).kek == done.kek
        assert await house.customers.get(conn, known.id) == known
