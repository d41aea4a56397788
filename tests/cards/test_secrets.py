"""Claims and PINs: what counts, what is counted, and who may reset."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from kabao.base.db import Database
from kabao.base.errors import KabaoError
from kabao.cards.claims import ByPossession
from kabao.cards.model import Barcode, CardNumber, CardRef, Issued, Track
from kabao.cards.ops.secrets import NewPin
from kabao.cards.states import Reason

from . import lives
from .lives import BOUGHT, Living, bearer, holder, refused, registered, shown

NEW_PIN = "918273"


@pytest.fixture
async def world(db: Database, tmp_path: Path) -> AsyncIterator[Living]:
    async with lives.living(db, tmp_path) as made:
        yield made


async def change(world: Living, card: Issued, old: str, new: str = NEW_PIN) -> None:
    await world.do(lambda c: world.life.change_pin(c, card.card.id, old, new, world.by))


def wrong(pin: str) -> str:
    """Another PIN."""
    return f"{(int(pin) + 1) % 1_000_000:06d}"


async def test_a_changed_pin_is_the_only_one(world: Living) -> None:
    card = await bearer(world)
    await change(world, card, card.secrets.pin)
    async with refused("secret_not_accepted"):
        await change(world, card, card.secrets.pin, "827364")
    await change(world, card, NEW_PIN, "827364")
    assert (await world.root(card)).secret_version == 3
    async with world.db.read() as conn:
        (found,) = await world.cards.resolve(conn, [CardNumber(card.secrets.number, "827364")])
    assert found is not None
    assert found.secret_version == 3


@pytest.mark.parametrize("pin", ["12345", "1234567", "12345x", "123456", "000000", "121212"])
async def test_a_weak_pin_is_refused(world: Living, pin: str) -> None:
    card = await bearer(world)
    async with refused("pin_not_allowed", "R-01"):
        await change(world, card, card.secrets.pin, pin)


@pytest.mark.row("R-01")
async def test_wrong_pins_count_though_nothing_else_is_kept(world: Living) -> None:
    card = await bearer(world)
    pin = card.secrets.pin
    for tries in (1, 2):
        async with refused("secret_not_accepted"):
            await change(world, card, wrong(pin))
        assert (await world.root(card)).pin_tries == tries
    async with refused("secret_not_accepted"):
        await change(world, card, wrong(pin))
    async with refused("secret_not_accepted"):
        await change(world, card, pin)  # right, and locked: nobody learns that it was right
    world.clock.advance(timedelta(minutes=1440) - timedelta(microseconds=1))
    async with refused("secret_not_accepted"):
        await change(world, card, pin)
    world.clock.advance(timedelta(microseconds=1))
    await change(world, card, pin)
    assert (await world.root(card)).pin_tries == 0


@pytest.mark.row("ATK-3")
async def test_guesses_at_once_are_counted_one_by_one(world: Living) -> None:
    card = await bearer(world)
    guesses = [f"{n:06d}" for n in range(200_000, 200_030) if f"{n:06d}" != card.secrets.pin]
    done = await asyncio.gather(
        *(change(world, card, guess) for guess in guesses), return_exceptions=True
    )
    assert all(isinstance(one, KabaoError) for one in done)
    root = await world.root(card)
    assert root.pin_locked_until_us == world.clock.now_us() + 1440 * 60_000_000
    assert root.pin_tries == 0


async def test_of_two_changes_at_once_one_happens(world: Living) -> None:
    card = await bearer(world)
    done = await asyncio.gather(
        *(change(world, card, card.secrets.pin, f"91827{n}") for n in range(4)),
        return_exceptions=True,
    )
    assert done.count(None) == 1
    assert (await world.root(card)).secret_version == 2


async def test_what_proves_possession(world: Living) -> None:
    card, other = await bearer(world), await bearer(world)
    s = card.secrets

    async def claim(source: object) -> None:
        made = ByPossession(source)  # type: ignore[arg-type]  # each kind of source in turn
        await world.do(
            lambda c: world.life.freeze(c, card.card.id, Reason.HOLDER_REQUEST, made, world.by)
        )

    for fake in (
        CardNumber(other.secrets.number, other.secrets.pin),
        CardNumber("9" * 19, s.pin),
        Barcode(s.barcode[:-1] + str((int(s.barcode[-1]) + 1) % 10)),
        Barcode(other.secrets.barcode),
        Track("garbage"),
    ):
        async with refused("secret_not_accepted"):
            await claim(fake)
    async with refused("claim_too_weak"):
        await claim(CardRef(f"card_{card.card.id}"))
    for true in (CardNumber(s.number, s.pin), Track(s.track2), Barcode(s.barcode)):
        await claim(true)
        await world.do(
            lambda c: world.life.unfreeze(c, card.card.id, Reason.RISK_CLEARED, None, world.by)
        )


async def test_a_claim_shows_no_secret_when_printed(world: Living) -> None:
    card = await bearer(world)
    text = repr(shown(card.secrets)) + repr(NewPin(card.card, card.secrets.pin))
    assert card.secrets.pin not in text
    assert card.secrets.number not in text


async def reset(world: Living, card: Issued, claim: object, maker: str = "maker") -> NewPin:
    by = msgspec.structs.replace(world.by, actor=maker)
    return await world.do(
        lambda c: world.life.reset_pin(c, card.card.id, claim, None, by)  # type: ignore[arg-type]
    )


@pytest.mark.row("ATK-11")
async def test_a_pin_reset_takes_two_persons_and_is_done_once(world: Living) -> None:
    card, person = await registered(world)
    ident = card.card.id
    async with refused("approval_needed", "ATK-11"):
        await reset(world, card, holder(person))
    approval = world.ids.new()
    await world.do(
        lambda c: world.life.permit_reset(c, ident, approval, frozenset({"maker", "key"}))
    )
    async with refused("approval_needed"):
        await reset(world, card, holder(person), maker="checker")
    async with refused("claim_too_weak"):
        await reset(world, card, BOUGHT)
    fresh = await reset(world, card, holder(person))
    async with refused("approval_needed"):
        await reset(world, card, holder(person))
    async with refused("secret_not_accepted"):
        await change(world, card, card.secrets.pin)
    await change(world, card, fresh.pin)
    async with world.db.read() as conn:
        lines = await world.life.history(conn, ident, before=None, limit=5)
    assert [line.approval for line in lines if line.verb == "reset_pin"] == [approval]


async def test_a_permit_runs_out(world: Living) -> None:
    card, person = await registered(world)
    await world.do(
        lambda c: world.life.permit_reset(c, card.card.id, world.ids.new(), frozenset({"maker"}))
    )
    world.clock.advance(timedelta(hours=72))
    async with refused("approval_needed"):
        await reset(world, card, holder(person))


async def test_a_reset_unlocks(world: Living) -> None:
    card = await bearer(world)
    for _ in range(3):
        async with refused("secret_not_accepted"):
            await change(world, card, wrong(card.secrets.pin))
    await world.do(
        lambda c: world.life.permit_reset(c, card.card.id, world.ids.new(), frozenset({"maker"}))
    )
    async with refused("secret_not_accepted"):
        await reset(world, card, ByPossession(Barcode(card.secrets.barcode)))
    world.clock.advance(timedelta(days=1))
    fresh = await reset(world, card, ByPossession(Barcode(card.secrets.barcode)))
    await change(world, card, fresh.pin)
