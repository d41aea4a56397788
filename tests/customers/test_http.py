"""Customers over HTTP: nothing personal leaves unmasked."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kabao.base.db import Database
from kabao.base.ids import to_edge
from kabao.customers.model import LookKind

from . import make

AT = "2026-11-22T16:00:00.000000+08:00"
SECRETS = (make.NAME, make.PHONE, make.RESIDENT, "南京东路", "zhangsanfeng")
PERSON = {
    "party": "person",
    "name": make.NAME,
    "phone": make.PHONE,
    "identity": {"type": "resident_id", "number": make.RESIDENT},
    "address": "上海市黄浦区南京东路1号",
    "email": "zhangsanfeng@example.cn",
}


class World:
    """Two companies, and keys of every reach."""

    house: make.House
    company: str
    other: str
    group: make.Caller
    shop: make.Caller
    rival: make.Caller
    reader: make.Caller
    nobody: make.Caller


@pytest.fixture
async def world(db: Database, tmp_path: Path) -> AsyncIterator[World]:
    made = World()
    made.house = house = make.House(db, tmp_path)
    async with db.transaction() as conn:
        made.company = await make.company(conn, house)
        made.other = await make.company(conn, house, "别家")
    principals = {
        "group": make.principal(made.company),
        "shop": make.principal(made.company, companies=frozenset({made.company})),
        "rival": make.principal(made.other, companies=frozenset({made.other})),
        "reader": make.principal(made.company, verbs=frozenset({"customers:read"})),
    }
    async with make.client(house, principals) as client:
        for key in (*principals, "nobody"):
            setattr(made, key, make.Caller(client, key))
        yield made


async def known(world: World, **said: Any) -> dict[str, Any]:
    answer = await world.shop.post("/v1/customers", PERSON | said)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_a_customer_is_shown_masked(world: World) -> None:
    customer = await known(world)
    assert customer == {
        "id": customer["id"],
        "company": to_edge("com", world.company),
        "party": "person",
        "state": "active",
        "level": "none",
        "minor": False,
        "name": "张**",
        "phone": "138****1234",
        "identity_type": "resident_id",
        "identity_number": "110***********002X",
        "address": "上海市***",
        "email": "z***@example.cn",
        "created_at": AT,
        "updated_at": AT,
    }
    answer = await world.shop.get(f"/v1/customers/{customer['id']}")
    assert answer.json() == customer
    assert not any(secret in answer.text for secret in SECRETS)


async def test_a_unit_is_shown_by_its_public_name(world: World) -> None:
    identity = {"type": "credit_code", "number": make.UNIT_CODE}
    unit = await known(world, party="unit", name="某某有限公司", identity=identity)
    assert (unit["name"], unit["identity_number"]) == ("某某有限公司", make.UNIT_CODE)


async def test_the_same_key_makes_one_customer(world: World) -> None:
    first = await world.shop.post("/v1/customers", PERSON, key="k")
    again = await world.shop.post("/v1/customers", PERSON, key="k")
    assert (again.status_code, again.content) == (201, first.content)
    other = await world.shop.post("/v1/customers", PERSON | {"name": "李四"}, key="k")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    taken = await world.shop.post("/v1/customers", PERSON)
    assert (taken.status_code, taken.json()["code"]) == (409, "identity_taken")


@pytest.mark.parametrize(
    "sought",
    [
        {"phone": "138 0000 1234"},
        {"identity": {"type": "resident_id", "number": make.RESIDENT.lower()}},
    ],
)
async def test_finding_shows_masked_and_is_told(world: World, sought: dict[str, Any]) -> None:
    customer = await known(world)
    for caller, found in ((world.group, [customer]), (world.shop, [customer]), (world.rival, [])):
        answer = await caller.post("/v1/customers/find", sought)
        assert (answer.status_code, answer.json()) == (200, {"data": found})
    kind = LookKind.BY_PHONE if "phone" in sought else LookKind.BY_IDENTITY
    ident = customer["id"][4:]
    told = [(look.kind, look.customer) for look in world.house.looks]
    assert told == [(kind, ident), (kind, ident), (kind, None)]


@pytest.mark.parametrize(
    "sought",
    [{}, {"phone": make.PHONE, "identity": {"type": "passport", "number": "E12345678"}}],
)
async def test_one_seeks_by_exactly_one_thing(world: World, sought: dict[str, Any]) -> None:
    answer = await world.shop.post("/v1/customers/find", sought)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


async def test_opening_a_customer_is_told(world: World) -> None:
    customer = await known(world)
    assert (await world.rival.get(f"/v1/customers/{customer['id']}")).status_code == 404
    assert world.house.looks == []
    await world.shop.get(f"/v1/customers/{customer['id']}")
    (look,) = world.house.looks
    assert (look.kind, look.customer) == (LookKind.OPENED, customer["id"][4:])


async def test_a_correction(world: World) -> None:
    customer = await known(world)
    path = f"/v1/customers/{customer['id']}"
    changed = await world.shop.patch(path, {"phone": "13900005678", "email": None})
    assert changed.json() == customer | {"phone": "139****5678", "email": None}
    assert (await world.rival.patch(path, {"name": "x"})).status_code == 404
    refused = await world.shop.patch(path, {"name": None})
    assert (refused.status_code, refused.json()["field"]) == (400, "name")


@pytest.mark.row("CR-06", "CR-81")
async def test_consents(world: World) -> None:
    customer = await known(world, consents=[_consent("charter")])
    path = f"/v1/customers/{customer['id']}/consents"
    given = await world.shop.post(path, _consent("biometric"))
    assert given.status_code == 201
    consent = given.json()
    assert consent == _consent("biometric") | {
        "id": consent["id"],
        "customer": customer["id"],
        "given_at": AT,
        "withdrawn_at": None,
    }
    withdrawn = await world.shop.post(f"{path}/{consent['id']}/withdraw")
    assert (withdrawn.status_code, withdrawn.json()["withdrawn_at"]) == (200, AT)
    first = (await world.shop.get(path, limit=1)).json()
    assert [one["kind"] for one in first["data"]] == ["charter"]
    rest = (await world.shop.get(path, limit=1, cursor=first["next_cursor"])).json()
    assert rest == {"data": [withdrawn.json()], "next_cursor": None}
    for answer in (
        await world.rival.get(path),
        await world.rival.post(path, _consent("privacy")),
        await world.rival.post(f"{path}/{consent['id']}/withdraw"),
    ):
        assert answer.status_code == 404


def _consent(kind: str) -> dict[str, str]:
    return {"kind": kind, "version": "2026-1", "document_hash": make.HASH}


async def test_staff_attest_what_they_saw_and_nothing_else(world: World) -> None:
    customer = await known(world)
    path = f"/v1/customers/{customer['id']}/verifications"
    seen = await world.shop.post(path, {"method": "document_at_counter", "reference": "scan-1"})
    assert (seen.status_code, seen.json()) == (
        201,
        {"customer": customer["id"], "level": "identity"},
    )
    for method in ("name_id_face", "sms_code", "name_id"):
        refused = await world.shop.post(path, {"method": method})
        assert (refused.status_code, refused.json()["code"]) == (422, "method_not_attestable")
    listed = (await world.shop.get(path)).json()["data"]
    assert [(one["method"], one["reference"]) for one in listed] == [
        ("document_at_counter", "scan-1")
    ]
    assert (await world.rival.get(path)).status_code == 404


async def test_who_may_not(world: World) -> None:
    customer = await known(world)
    path = f"/v1/customers/{customer['id']}"
    for answer in (
        await world.reader.post("/v1/customers", PERSON),
        await world.reader.post("/v1/customers/find", {"phone": make.PHONE}),
        await world.reader.patch(path, {"name": "x"}),
        await world.reader.post(f"{path}/verifications", {"method": "document_at_counter"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert (await world.nobody.get(path)).status_code == 401
    elsewhere = await world.shop.post(
        "/v1/customers", PERSON | {"company": to_edge("com", world.other)}
    )
    assert (elsewhere.status_code, elsewhere.json()["field"]) == (404, "company")
    by_group = await world.group.post(
        "/v1/customers", PERSON | {"company": to_edge("com", world.other)}
    )
    assert by_group.json()["company"] == to_edge("com", world.other)


BAD_INPUT: list[tuple[dict[str, Any], int, str | None]] = [
    ({"name": ""}, 422, "name"),
    ({"name": " "}, 422, "name"),
    ({"party": "robot"}, 422, "party"),
    ({"phone": "12345678901"}, 422, "phone"),
    ({"phone": 13800001234}, 400, "phone"),
    ({"email": "nobody"}, 422, "email"),
    ({"identity": {"type": "resident_id", "number": "110105194912310021"}}, 422, "identity"),
    ({"identity": {"type": "resident_id"}}, 400, "identity.number"),
    ({"identity": None, "birth_date": "2027-01-01"}, 422, "birth_date"),
    ({"nickname": "x"}, 400, "nickname"),
    ({"identity": {"type": "resident_id", "number": make.CHILD}}, 422, None),
]


async def test_bad_input_is_told_by_its_field_and_never_repeated(world: World) -> None:
    for said, status, field in BAD_INPUT:
        answer = await world.shop.post("/v1/customers", PERSON | said)
        assert (answer.status_code, answer.json().get("field")) == (status, field), said
        assert not any(secret in answer.text for secret in (*SECRETS, "110105194912310021"))


async def test_nothing_personal_is_kept_with_the_idempotency_key(world: World) -> None:
    await known(world)
    async with world.house.db.read() as conn:
        rows = await (await conn.execute("select body, mac from base.idempotency")).fetchall()
    for body, _ in rows:
        assert not any(secret.encode() in body for secret in SECRETS)
