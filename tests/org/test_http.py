"""The group graph over HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from kabao.base.db import Database
from kabao.base.ids import to_edge
from kabao.org.model import Company, Store
from kabao.org.ops import Org

from . import make

DAY = make.START.date().isoformat()


class World:
    """A group of two companies with a store each, and keys of every reach."""

    org: Org
    head: Company
    other: Company
    store: Store
    sister: Store
    other_store: Store
    group: make.Caller
    company: make.Caller
    till: make.Caller
    reader: make.Caller
    nobody: make.Caller


@pytest.fixture
async def world(db: Database) -> AsyncIterator[World]:
    made = World()
    made.org = make.org(db)
    async with db.transaction() as conn:
        made.head = await make.company(conn, made.org)
        made.other = await make.company(conn, made.org, "别家")
        made.store = await make.store(conn, made.org, made.head.id)
        made.sister = await make.store(conn, made.org, made.head.id, "002")
        made.other_store = await make.store(conn, made.org, made.other.id)
    await made.org.refresh()
    mine, till = frozenset({made.head.id}), frozenset({made.store.id})
    principals = {
        "group": make.principal(made.head.id),
        "company": make.principal(made.head.id, companies=mine),
        "till": make.principal(made.head.id, companies=mine, stores=till),
        "reader": make.principal(made.head.id, verbs=frozenset({"org:read"})),
    }
    async with make.client(db, made.org, principals) as client:
        for key in (*principals, "nobody"):
            setattr(made, key, make.Caller(client, key))
        yield made


async def test_a_company_from_birth_to_close(world: World) -> None:
    said = {"name": "品牌公司", "issuer_type": "brand", "credit_code": "91350100M000100Y43"}
    made = await world.group.post("/v1/companies", said)
    assert made.status_code == 201
    company = made.json()
    assert company == said | {
        "id": company["id"],
        "jurisdiction": "national",
        "parent": None,
        "state": "open",
        "created_at": "2026-11-22T16:00:00.000000+08:00",
    }
    path = f"/v1/companies/{company['id']}"
    assert (await world.group.get(path)).json() == company
    head = to_edge("com", world.head.id)
    changed = await world.group.patch(path, {"parent": head, "jurisdiction": "beijing"})
    assert changed.json() == company | {"parent": head, "jurisdiction": "beijing"}
    assert world.org.group(company["id"][4:]) == world.head.id, "this process sees it at once"
    assert (await world.group.patch(path, {"parent": None})).json()["parent"] is None
    closed = await world.group.post(f"{path}/close")
    assert (closed.status_code, closed.json()["state"]) == (200, "closed")
    assert (await world.group.post(f"{path}/reopen")).json()["state"] == "open"


async def test_a_store_from_birth_to_close(world: World) -> None:
    said = {"company": to_edge("com", world.head.id), "name": "南京东路店", "code": "NJ-1"}
    made = await world.company.post("/v1/stores", said | {"city": "上海"}, key="k")
    assert made.status_code == 201
    store = made.json()
    assert store["city"] == "上海"
    assert len(store["merchant_no"]) == 15
    again = await world.company.post("/v1/stores", said | {"city": "上海"}, key="k")
    assert again.content == made.content, "the same key is the same store"
    assert world.org.store(store["id"][4:]) is not None
    path = f"/v1/stores/{store['id']}"
    assert (await world.company.patch(path, {"name": "新名"})).json()["name"] == "新名"
    closed = (await world.company.post(f"{path}/close")).json()
    assert (closed["state"], closed["closed_at"]) == ("closed", "2026-11-22T16:00:00.000000+08:00")
    assert (await world.company.post(f"{path}/reopen")).json()["closed_at"] is None


async def test_a_brand_link_from_birth_to_end(world: World) -> None:
    brand, member = to_edge("com", world.head.id), to_edge("com", world.other.id)
    said = {"issuer": brand, "member": member, "from_date": DAY}
    refused = await world.group.post("/v1/brand-links", said)
    assert (refused.status_code, refused.json()["code"]) == (422, "issuer_not_brand")
    assert refused.json()["rule"] == "CR-02"
    await world.group.patch(f"/v1/companies/{brand}", {"issuer_type": "brand"})
    made = await world.group.post("/v1/brand-links", said)
    assert made.status_code == 201
    assert world.org.accepts(world.head.id, world.other_store.id)
    listed = (await world.group.get("/v1/brand-links")).json()
    assert listed == {"data": [made.json()], "next_cursor": None}
    ended = await world.group.post(f"/v1/brand-links/{made.json()['id']}/end", {"until_date": DAY})
    assert ended.json()["until_date"] == DAY
    assert not world.org.accepts(world.head.id, world.other_store.id)


async def test_a_key_sees_its_scope_and_nothing_else(world: World) -> None:
    async def stores(caller: make.Caller, **query: Any) -> set[str]:
        return {store["id"] for store in (await caller.get("/v1/stores", **query)).json()["data"]}

    mine, sister = to_edge("sto", world.store.id), to_edge("sto", world.sister.id)
    theirs = to_edge("sto", world.other_store.id)
    assert await stores(world.group) == {mine, sister, theirs}
    assert await stores(world.company) == {mine, sister}
    assert await stores(world.till) == {mine}
    assert await stores(world.group, company=to_edge("com", world.other.id)) == {theirs}
    assert await stores(world.company, company=to_edge("com", world.other.id)) == set()
    for caller, path in (
        (world.company, f"/v1/stores/{theirs}"),
        (world.till, f"/v1/stores/{sister}"),
        (world.company, f"/v1/companies/{to_edge('com', world.other.id)}"),
        (world.group, "/v1/stores/sto_nonsense"),
        (world.group, f"/v1/stores/{to_edge('com', world.store.id)}"),
        (world.group, f"/v1/companies/{to_edge('com', 'f' * 32)}"),
    ):
        answer = await caller.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    for act in (
        world.company.post(f"/v1/stores/{theirs}/close"),
        world.till.patch(f"/v1/stores/{sister}", {"name": "x"}),
    ):
        assert (await act).status_code == 404
    companies = (await world.company.get("/v1/companies")).json()["data"]
    assert [company["id"] for company in companies] == [to_edge("com", world.head.id)]


async def test_nobody_extends_the_group_for_themselves(world: World) -> None:
    head, other = to_edge("com", world.head.id), to_edge("com", world.other.id)
    link = {"issuer": other, "member": head, "from_date": DAY}
    for act in (
        world.company.post("/v1/companies", {"name": "x", "parent": head}),
        world.company.patch(f"/v1/companies/{head}", {"parent": other}),
        world.company.post("/v1/brand-links", link),
        world.company.post(f"/v1/companies/{head}/close"),
        world.till.post("/v1/stores", {"company": head, "name": "x", "code": "x"}),
        world.reader.post("/v1/stores", {"company": head, "name": "x", "code": "x"}),
    ):
        assert (await act).status_code == 403
    theirs = await world.company.post("/v1/stores", {"company": other, "name": "x", "code": "x"})
    assert (theirs.status_code, theirs.json()["field"]) == (404, "company")
    assert (await world.nobody.get("/v1/stores")).status_code == 401


BAD_COMPANIES: list[tuple[dict[str, Any], int, str]] = [
    ({}, 400, "name"),
    ({"name": ""}, 422, "name"),
    ({"name": "x" * 121}, 422, "name"),
    ({"name": "a\u0000b"}, 422, "name"),
    ({"name": "x", "colour": 1}, 400, "colour"),
    ({"name": "x", "issuer_type": "bank"}, 422, "issuer_type"),
    ({"name": "x", "credit_code": "91350100M000100Y44"}, 422, "credit_code"),
    ({"name": "x", "parent": "com_0"}, 404, "parent"),
]


async def test_bad_input_is_told_by_its_field(world: World) -> None:
    for body, status, field in BAD_COMPANIES:
        answer = await world.group.post("/v1/companies", body)
        assert (answer.status_code, answer.json()["field"]) == (status, field), body


async def test_a_long_list_comes_in_pages(world: World) -> None:
    head = to_edge("com", world.head.id)
    for n in range(4):
        await world.group.post("/v1/stores", {"company": head, "name": "店", "code": f"p{n}"})
    seen: list[str] = []
    cursor: str | None = None
    while True:
        query = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        page = (await world.group.get("/v1/stores", **query)).json()
        seen += [store["id"] for store in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 7
    assert (await world.group.get("/v1/stores", limit=201)).status_code == 422
    assert (await world.group.get("/v1/stores", cursor="AAAA")).status_code == 400
