"""Resolving what was shown: right, wrong, nobody's; in one read and in equal work."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kabao.base.db import Database
from kabao.base.ids import to_edge
from kabao.cards import sql
from kabao.cards.model import (
    Barcode,
    CardNumber,
    CardRef,
    Carrier,
    Issued,
    NewBatch,
    PinPolicy,
    Proof,
    Resolved,
    Source,
    Track,
)
from kabao.cards.numbers import luhn_digit
from kabao.cards.ops.credentials import shown

from . import make


@pytest.fixture
async def world(db: Database, tmp_path: Path) -> make.World:
    return await make.world(db, tmp_path)


async def resolve(world: make.World, *sources: Source) -> list[Resolved | None]:
    async with world.db.read() as conn:
        return await world.cards.resolve(conn, sources)


def other_digit(text: str, at: int) -> str:
    return text[:at] + str((int(text[at]) + 1) % 10) + text[at + 1 :]


def other_pin(pin: str) -> str:
    return other_digit(pin, 0)


def proofs(resolved: list[Resolved | None]) -> list[Proof | None]:
    return [None if r is None else r.proof for r in resolved]


@pytest.mark.row("P-09", "P-22", "P-03")
async def test_every_kind_of_source_finds_the_card(world: make.World) -> None:
    programme = await make.programme(world)
    issued = await make.card(world, programme, Carrier.PHYSICAL)
    card, secrets = issued.card, issued.secrets
    found = await resolve(
        world,
        CardNumber(secrets.number, secrets.pin),
        Track(secrets.track2),
        Track(f";{secrets.track2}?", secrets.pin),
        Barcode(secrets.barcode),
        CardRef(to_edge("card", card.id)),
    )
    for resolved in found:
        assert resolved is not None
        assert (resolved.card, resolved.root) == (card.id, card.root)
        assert (resolved.programme, resolved.issuer) == (programme.id, world.issuer.id)
        assert (resolved.last4, resolved.secret_version) == (card.last4, 1)
        assert (resolved.carrier, resolved.state_of_carrier) == (Carrier.PHYSICAL, "in_stock")
    right = [Proof.RIGHT] * 4
    assert proofs(found) == [*right, Proof.SCOPE]


async def test_wrong_secrets_are_wrong(world: make.World) -> None:
    secrets = (await make.card(world, await make.programme(world))).secrets
    track, barcode = secrets.track2, secrets.barcode
    other = (await make.card(world, await make.programme(world))).secrets
    found = await resolve(
        world,
        CardNumber(secrets.number, other_pin(secrets.pin)),
        CardNumber(secrets.number, secrets.pin + "0"),
        Track(track, other_pin(secrets.pin)),
        Track(other_digit(track, 36), secrets.pin),
        Track(other_digit(track, 22), secrets.pin),
        Barcode(other_digit(barcode, 31)),
        Barcode(barcode[:-10] + track[-10:]),
        Track(track[:-10] + barcode[-10:]),
        Track(track[:-10] + other.track2[-10:]),
    )
    assert proofs(found) == [Proof.WRONG] * len(found)


async def test_the_version_of_the_key_must_be_the_cards(world: make.World) -> None:
    """P-22: plastic made before the card's key was changed is worthless."""
    issued = await make.card(world, await make.programme(world))
    async with world.db.transaction() as conn:
        await conn.execute("update cards.card set key_version = 2")
    found = await resolve(world, Track(issued.secrets.track2), Barcode(issued.secrets.barcode))
    assert proofs(found) == [Proof.WRONG] * 2


@pytest.mark.row("ATK-1")
async def test_nobodys_sources_are_nobodys(world: make.World) -> None:
    secrets = (await make.card(world, await make.programme(world))).secrets
    payload = other_digit(secrets.number[:-1], 10)
    near = payload + luhn_digit(payload)
    found = await resolve(
        world,
        CardNumber(near, secrets.pin),
        Track(secrets.track2.replace(secrets.number, near), secrets.pin),
        Barcode(secrets.barcode.replace(secrets.number, near)),
        Track("hello"),
        Barcode("0"),
        CardRef("card_" + world.ids.new()),
        CardRef("sto_" + world.ids.new()),
        CardRef("card_x"),
    )
    assert found == [None] * len(found)


async def test_a_programme_may_want_the_pin_with_a_swipe(world: make.World) -> None:
    programme = await make.programme(world, pin=PinPolicy(on_swipe=True))
    secrets = (await make.card(world, programme)).secrets
    assert secrets.track2[24:27] == "720"
    found = await resolve(
        world,
        Track(secrets.track2),
        Track(secrets.track2, secrets.pin),
        Track(secrets.track2, other_pin(secrets.pin)),
        Track(other_digit(secrets.track2, 36)),
        Barcode(secrets.barcode),
    )
    assert proofs(found) == [Proof.NONE, Proof.RIGHT, Proof.WRONG, Proof.WRONG, Proof.RIGHT]


async def test_a_card_without_a_pin(world: make.World) -> None:
    secrets = (await make.card(world, await make.programme(world))).secrets
    async with world.db.transaction() as conn:
        await conn.execute("update cards.credential set pin_salt = null, pin_mac = null")
    found = await resolve(
        world,
        CardNumber(secrets.number, secrets.pin),
        Track(secrets.track2, secrets.pin),
        Track(secrets.track2),
    )
    assert proofs(found) == [Proof.NO_PIN_SET, Proof.NO_PIN_SET, Proof.RIGHT]


async def test_a_batch_is_answered_in_order_with_one_read(
    world: make.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """512 sources, the same card several times among them: one statement."""
    programme = await make.programme(world)
    batch = await world.cards.issue_batch(
        NewBatch(programme=programme.id, carrier=Carrier.PHYSICAL, count=128), world.by_two
    )
    async with world.db.transaction() as conn:
        secrets = [s async for s in world.cards.reveal_batch(conn, batch.id)]
    sources: list[Source] = []
    wanted: list[tuple[str, Proof] | None] = []
    for s in secrets:
        sources += [
            CardNumber(s.number, s.pin),
            CardNumber(s.number, other_pin(s.pin)),
            Barcode(s.barcode),
            CardNumber("9" * 19, s.pin),
        ]
        wanted += [(s.card, Proof.RIGHT), (s.card, Proof.WRONG), (s.card, Proof.RIGHT), None]
    reads = 0
    real = sql.resolve

    async def counted(*args: object) -> object:
        nonlocal reads
        reads += 1
        return await real(*args)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(sql, "resolve", counted)
    found = await resolve(world, *sources)
    assert [None if f is None else (f.card, f.proof) for f in found] == wanted
    assert reads == 1
    assert await resolve(world) == []


@pytest.mark.row("ATK-1")
async def test_nobody_costs_as_much_as_somebody(
    world: make.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keyed hashes of a source are counted, whoever it belongs to."""
    secrets = (await make.card(world, await make.programme(world))).secrets
    counts = {"blind": 0, "pin": 0, "value": 0}
    vault = world.vault
    blind, pin, value = vault.blind_indexes, vault.pin_mac, vault.card_value_matches

    def blinds(purpose: str, values: list[str]) -> list[bytes]:
        counts["blind"] += len(values)
        return blind(purpose, values)

    def pins(*args: object) -> bytes:
        counts["pin"] += 1
        return pin(*args)  # type: ignore[arg-type]  # handed through

    def matches(*args: object, digits: int) -> bool:
        counts["value"] += 1
        return value(*args, digits=digits)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(vault, "blind_indexes", blinds)
    monkeypatch.setattr(vault, "pin_mac", pins)
    monkeypatch.setattr(vault, "card_value_matches", matches)

    async def cost(source: Source) -> tuple[int, ...]:
        counts.update(blind=0, pin=0, value=0)
        await resolve(world, source)
        return tuple(counts.values())

    number, unknown = secrets.number, "9" * 19
    for source in (
        CardNumber(number, secrets.pin),
        CardNumber(number, other_pin(secrets.pin)),
        CardNumber(unknown, secrets.pin),
    ):
        assert await cost(source) == (1, 1, 0)
    for track in (secrets.track2, other_digit(secrets.track2, 36), "x"):
        assert await cost(Track(track)) == (1, 0, 1)
        assert await cost(Track(track, secrets.pin)) == (1, 1, 1)
        assert await cost(Track(track.replace(number, unknown), secrets.pin)) == (1, 1, 1)
    for data in (secrets.barcode, secrets.barcode.replace(number, unknown), "0"):
        assert await cost(Barcode(data)) == (1, 0, 1)


async def test_resolving_reads_through_the_index(world: make.World) -> None:
    """With a plan for any number of cards: no scan of either table (performance.md)."""
    programme = await make.programme(world)
    await world.cards.issue_batch(
        NewBatch(programme=programme.id, carrier=Carrier.PHYSICAL, count=3_000), world.by_two
    )
    async with world.db.transaction() as conn:
        for name in ("card", "credential"):
            await conn.execute(f"analyze cards.{name}")
        for statement, params in (
            (sql.BY_NUMBER, ["{" + world.ids.new() + "}"]),
            (sql.BY_NUMBER_AND_ID, ["{" + world.ids.new() + "}", "{" + world.ids.new() + "}"]),
        ):
            rows = await (await conn.execute("explain " + statement, params)).fetchall()
            plan = "\n".join(row[0] for row in rows)
            assert "Seq Scan" not in plan, plan
            assert "pk_credential" in plan, plan
            assert "pk_card" in plan, plan


async def test_cards_are_listed_newest_first(world: make.World) -> None:
    programme, other = await make.programme(world), await make.programme(world)
    holder = await make.holder(world, identified=True)
    made: list[Issued] = []
    for n in range(5):
        world.clock.advance(timedelta(seconds=1))
        made.append(
            await make.card(
                world,
                other if n == 2 else programme,
                Carrier.PHYSICAL if n == 4 else Carrier.ELECTRONIC,
                holder.id if n < 2 else None,
            )
        )
    cards = [i.card for i in made]
    async with world.db.read() as conn:

        async def listed(**said: object) -> list[int]:
            found = await world.cards.list_cards(conn, **said)  # type: ignore[arg-type]  # by name
            return [cards.index(c) for c in found]

        assert await listed() == [4, 3, 2, 1, 0]
        assert await listed(programme=programme.id) == [4, 3, 1, 0]
        assert await listed(holder=holder.id) == [1, 0]
        assert await listed(states=["in_stock"]) == [4]
        assert await listed(before=cards[3].id, limit=2) == [2, 1]
        assert await listed(issuers=[world.issuer.id], limit=1) == [4]
        assert await listed(issuers=[world.ids.new()]) == []


@given(text=st.text(max_size=64))
def test_any_text_is_taken_apart_without_a_fault(text: str) -> None:
    for source in (Track(text), Barcode(text), CardRef(text)):
        shown(source)


def test_sources_do_not_show_their_secrets() -> None:
    for source in (
        CardNumber("8800101234567890128", "271828"),
        Track("8800101234567890128=49127210312345678", "271828"),
        Barcode("98888001012345678901280312345678"),
    ):
        assert "8800101" not in repr(source) + str(source)
        assert "271828" not in repr(source) + str(source)
