"""Phones that make codes without a signal: made here as any wallet would, with RFC 6238."""

from __future__ import annotations

from base64 import b32encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pyotp
import pytest

from tests.app.world import World, made, world

from .test_codes import EXPIRED, USED, card_with, no, pass_time, pay


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path) as w:
        w.terminals = [  # type: ignore[attr-defined]
            (await made(w.operator.post("/v1/terminals", {"store": w.store, "model": "X1"})))["id"]
            for _ in range(2)
        ]
        await w.kabao.merchants.refresh()
        yield w


class Phone:
    """An enrolled phone, with a clock of its own and a library of others."""

    def __init__(self, w: World, enrolled: dict[str, Any]) -> None:
        self._w, self.id, self._head = w, enrolled["id"], enrolled["head"]
        assert (enrolled["digits"], enrolled["period"]) == (8, 5)
        secret = b32encode(bytes.fromhex(enrolled["key"])).decode()
        self._totp = pyotp.TOTP(secret, digits=8, digest="sha256", interval=5)

    def code(self, ahead_s: float = 0) -> str:
        at_s = int(self._w.clock.now_us() / 1e6 + ahead_s)
        return str(self._head) + self._totp.at(at_s)


async def enrol(w: World, card: dict[str, Any], name: str = "phone") -> Phone:
    body = {"card": card["id"], "name": name}
    return Phone(w, await made(w.merchant.post("/v1/pay-codes/devices", body)))


@pytest.mark.row("P-08")
async def test_a_phone_without_a_signal_pays(w: World) -> None:
    card = await card_with(w, 1000)
    phone = await enrol(w, card)
    code = phone.code()
    assert (len(code), code[:2]) == (18, "84")
    assert (await pay(w, code))["status"] == "captured"
    assert no(await pay(w, code)) == USED
    assert no(await pay(w, code, till=1, order="o2")) == USED
    pass_time(w, 5)
    assert (await pay(w, phone.code(), till=1, order="o2"))["status"] == "captured"
    assert no(await pay(w, code)) == EXPIRED, "a newer one was shown"


@pytest.mark.row("P-14")
@pytest.mark.parametrize(
    ("seconds", "answer"), [(64.999, (None, None)), (65, EXPIRED), (600, EXPIRED)]
)
async def test_its_codes_live_as_long(
    w: World, seconds: float, answer: tuple[str | None, str | None]
) -> None:
    phone = await enrol(w, await card_with(w, 1000))
    code = phone.code()
    pass_time(w, seconds)
    assert no(await pay(w, code)) == answer


async def test_a_clock_may_be_a_little_off(w: World) -> None:
    phone = await enrol(w, await card_with(w, 1000))
    assert (await pay(w, phone.code(ahead_s=5)))["status"] == "captured"
    assert no(await pay(w, phone.code(ahead_s=60)))[0] == "card_not_accepted"


async def test_its_code_goes_on_at_the_till_it_is_tied_to(w: World) -> None:
    phone = await enrol(w, await card_with(w, 60))
    code = phone.code()
    assert no(await pay(w, code))[0] == "insufficient_funds"
    pass_time(w, 170)
    assert no(await pay(w, code, 60, till=1)) == USED
    assert (await pay(w, code, 60))["status"] == "captured"


@pytest.mark.row("R-01")
async def test_guesses_are_wrong_secrets(w: World) -> None:
    card = await card_with(w, 1000)
    phone = await enrol(w, card)
    right = phone.code()
    wrong = right[:10] + f"{(int(right[10:]) + 1) % 10**8:08d}"
    for _ in range(3):
        assert no(await pay(w, wrong)) == ("card_not_accepted", None)
    assert no(await pay(w, right)) == ("card_not_accepted", None), "locked, whatever is shown"


async def test_an_old_code_is_no_guess(w: World) -> None:
    phone = await enrol(w, await card_with(w, 1000))
    old = phone.code()
    pass_time(w, 300)
    for _ in range(5):
        assert no(await pay(w, old)) == EXPIRED
    assert (await pay(w, phone.code()))["status"] == "captured"


async def test_a_revoked_phone_makes_nothing(w: World, database_url: str) -> None:
    card = await card_with(w, 1000)
    phone, other = await enrol(w, card, "lost"), await enrol(w, card, "kept")
    ended = await made(w.merchant.post(f"/v1/pay-codes/devices/{phone.id}/revoke"))
    assert ended["revoked_at"] is not None
    again = await made(w.merchant.post(f"/v1/pay-codes/devices/{phone.id}/revoke"))
    assert again == ended
    assert no(await pay(w, phone.code())) == ("card_not_accepted", None)
    assert (await pay(w, other.code()))["status"] == "captured"
    listed = await made(w.merchant.get("/v1/pay-codes/devices", card=card["id"]))
    assert [(d["name"], d["revoked_at"] is None) for d in listed["data"]] == [
        ("kept", True),
        ("lost", False),
    ]
    async with await psycopg.AsyncConnection.connect(database_url) as conn:
        rows = await (await conn.execute("select name, key_sealed from paycodes.device")).fetchall()
    assert dict(rows)["lost"] is None, "its key is destroyed"


async def test_a_card_has_so_many_phones(w: World) -> None:
    card = await card_with(w, 1000)
    phones = [await enrol(w, card) for _ in range(5)]
    body = {"card": card["id"], "name": "sixth"}
    refused = await w.merchant.post("/v1/pay-codes/devices", body)
    assert (refused.status_code, refused.json()["code"]) == (422, "too_many_devices")
    await made(w.merchant.post(f"/v1/pay-codes/devices/{phones[0].id}/revoke"))
    await enrol(w, card)


async def test_two_phones_of_one_card_do_not_bar_each_other(w: World) -> None:
    card = await card_with(w, 1000)
    one, two = await enrol(w, card), await enrol(w, card)
    assert (await pay(w, one.code()))["status"] == "captured"
    assert (await pay(w, two.code(), order="o2"))["status"] == "captured"


async def test_a_key_that_cannot_be_opened_fails_its_own_phone_alone(
    w: World, database_url: str
) -> None:
    card = await card_with(w, 1000)
    broken, whole = await enrol(w, card), await enrol(w, card)
    async with await psycopg.AsyncConnection.connect(database_url) as conn:
        await conn.execute(
            "update paycodes.device set key_sealed = set_byte(key_sealed, 40,"
            " 255 - get_byte(key_sealed, 40)) where id = %s",
            [broken.id.removeprefix("dev_")],
        )
    assert no(await pay(w, broken.code())) == ("card_not_accepted", None)
    assert (await pay(w, whole.code()))["status"] == "captured"


async def test_devices_of_others_are_unknown(w: World) -> None:
    phone = await enrol(w, await card_with(w, 1000))
    for answer in (
        await w.merchant.post("/v1/pay-codes/devices/dev_" + "0" * 32 + "/revoke"),
        await w.merchant.get("/v1/pay-codes/devices", card="card_" + "0" * 32),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    denied = await w.auditor.post(f"/v1/pay-codes/devices/{phone.id}/revoke")
    assert denied.status_code == 403
