"""Issuing: one card, a batch, a crash in between, secrets once."""

import asyncio
from datetime import date, timedelta
from pathlib import Path

import pytest

from kabao.base.db import Database, fetch_value
from kabao.base.errors import KabaoError
from kabao.cards import sql
from kabao.cards.model import (
    BatchState,
    CardClass,
    CardNumber,
    Carrier,
    CredentialKind,
    NewBatch,
    Programme,
    ProgrammeState,
    Proof,
    Secrets,
)
from kabao.cards.numbers import has_luhn
from kabao.cards.ops import batches, issue
from kabao.cards.ops.issue import Blank
from kabao.cards.states import CardState
from kabao.ledger.model import RootState
from kabao.policy.choices import Scope, Switch, SwitchState
from kabao.policy.model import Setting
from kabao.policy.names import CARD_NUMBER_DENSITY_PPM

from . import make

PHYSICAL, ELECTRONIC = Carrier.PHYSICAL, Carrier.ELECTRONIC
REGISTERED, BEARER = CardClass.REGISTERED, CardClass.BEARER


@pytest.fixture
async def world(db: Database, tmp_path: Path) -> make.World:
    return await make.world(db, tmp_path)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "CHUNK", 40)


# --- one card ---------------------------------------------------------------------


@pytest.mark.row("P-03", "P-01")
async def test_a_card_has_a_number_a_pin_and_an_empty_root(world: make.World) -> None:
    programme = await make.programme(world)
    issued = await make.card(world, programme)
    card, secrets = issued.card, issued.secrets
    assert len(secrets.number) == 19
    assert has_luhn(secrets.number)
    assert secrets.number.startswith(programme.terms.prefixes)
    assert card.last4 == secrets.number[-4:]
    assert len(secrets.pin) == 6
    assert card.expires_on == date(2029, 11, 22)
    async with world.db.read() as conn:
        assert await world.cards.find_card(conn, card.id) == card
        assert await world.cards.number_of(conn, card.id) == secrets.number
        root = await world.ledger.root(conn, card.root)
    assert root is not None
    assert (root.card, root.issuer, root.balance_fen) == (card.id, world.issuer.id, 0)
    assert (root.state, root.valid_until) == (RootState.ACTIVE, card.expires_on)


@pytest.mark.row("B-13")
async def test_nothing_secret_is_stored_in_clear(world: make.World) -> None:
    """ATK-14: the number is sealed, the PIN only a MAC; both unlike on every card."""
    programme = await make.programme(world)
    one, other = (
        (await make.card(world, programme)).secrets,
        (await make.card(world, programme)).secrets,
    )
    async with world.db.read() as conn:
        dump = await fetch_value(
            conn,
            "select (select string_agg(c::text, '') from cards.card c)"
            " || (select string_agg(c::text, '') from cards.credential c)"
            " || (select string_agg(o::text, '') from base.outbox o)",
        )
    for secrets in (one, other):
        for secret in (secrets.number, secrets.number.encode().hex(), secrets.track2):
            assert secret not in dump
        assert secrets.number not in repr(secrets) + str(secrets)


@pytest.mark.row("CR-07", "ATK-12")
async def test_where_a_life_begins(world: make.World) -> None:
    programmes = {c: await make.programme(world, c) for c in CardClass}
    holders = {
        None: None,
        "identified": (await make.holder(world, identified=True)).id,
        "unknown": (await make.holder(world, identified=False, n=1)).id,
    }
    for card_class, carrier, holder, state in (
        (BEARER, ELECTRONIC, None, CardState.ACTIVE),
        (BEARER, PHYSICAL, None, CardState.IN_STOCK),
        (REGISTERED, ELECTRONIC, None, CardState.INACTIVE),
        (REGISTERED, ELECTRONIC, "identified", CardState.ACTIVE),
        (REGISTERED, PHYSICAL, "identified", CardState.IN_STOCK),
        (REGISTERED, PHYSICAL, "unknown", CardState.IN_STOCK),
        (BEARER, ELECTRONIC, "unknown", CardState.ACTIVE),
    ):
        who = holders[holder]
        card = (await make.card(world, programmes[card_class], carrier, who)).card
        assert (card.state, card.holder) == (state, who)
        active = state is CardState.ACTIVE
        assert (card.activated_at is not None) == active
        async with world.db.read() as conn:
            root = await world.ledger.root(conn, card.root)
        assert root is not None
        assert root.state == (RootState.ACTIVE if active else RootState.INACTIVE)
        assert (root.valid_until is None) == (card_class is REGISTERED)


@pytest.mark.row("CR-07")
async def test_a_registered_card_is_not_active_without_knowing_who(world: make.World) -> None:
    programme = await make.programme(world, REGISTERED)
    unknown = await make.holder(world, identified=False)
    with pytest.raises(KabaoError) as refused:
        await make.card(world, programme, ELECTRONIC, unknown.id)
    assert str(refused.value.code) == "holder_not_identified"
    assert (refused.value.rule, refused.value.field) == ("CR-07", "holder")
    with pytest.raises(KabaoError) as nobody:
        await make.card(world, programme, ELECTRONIC, world.ids.new())
    assert (str(nobody.value.code), nobody.value.field) == ("not_found", "holder")


async def test_a_programme_may_issue_inactive(world: make.World) -> None:
    programme = await make.programme(world, active_at_issue=False)
    assert (await make.card(world, programme)).card.state is CardState.INACTIVE


async def test_who_does_not_issue(world: make.World) -> None:
    draft = await make.programme(world, active=False)
    electronic = await make.programme(world, carriers=(ELECTRONIC,))
    for programme, carrier, code in (
        (draft, ELECTRONIC, "programme_state"),
        (electronic, PHYSICAL, "carrier_not_offered"),
    ):
        with pytest.raises(KabaoError) as refused:
            await make.card(world, programme, carrier)
        assert str(refused.value.code) == code


@pytest.mark.row("CR-33")
async def test_a_kill_switch_stops_issuing(world: make.World) -> None:
    other = await make.programme(world)
    for switch, rule in ((Switch.STOP_ISSUE, "CR-35"), (Switch.STOP_SALE, "CR-33")):
        programme = await make.programme(world)
        setting = Setting(
            switch, Scope.PROGRAMME, programme.id, SwitchState.STOPPED, "trouble", "chief"
        )
        async with world.db.transaction() as conn:
            await world.policy.set_switch(conn, setting)
            await world.policy.refresh(conn)
        with pytest.raises(KabaoError) as refused:
            await make.card(world, programme)
        assert (str(refused.value.code), refused.value.rule) == ("stopped", rule)
        assert (await make.card(world, other)).card.state is CardState.ACTIVE


@pytest.mark.row("K-02")
async def test_a_full_range_is_refused_with_its_rule(world: make.World) -> None:
    """ATK-2: at most one number in ten thousand; 10^8 numbers a range here."""
    programme = await make.programme(world, prefixes=("8801000001", "8801000002"))
    async with world.db.transaction() as conn:
        await conn.execute(
            "update cards.number_range set issued = 9999 where prefix = '8801000001'"
        )
        await conn.execute(
            "update cards.number_range set issued = 10000 where prefix = '8801000002'"
        )
    last = await make.card(world, programme)
    assert last.secrets.number.startswith("8801000001")
    with pytest.raises(KabaoError) as refused:
        await make.card(world, programme)
    assert (str(refused.value.code), refused.value.rule) == ("number_range_full", "ATK-2")


async def test_a_number_that_is_taken_is_drawn_again(
    world: make.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    programme = await make.programme(world)
    taken = (await make.card(world, programme)).secrets.number
    real = issue.draw_numbers
    given = [taken, taken]

    def draw(prefix: str, length: int, count: int) -> list[str]:
        return [given.pop()] if given else real(prefix, length, count)

    monkeypatch.setattr(issue, "draw_numbers", draw)
    issued = await make.card(world, programme)
    assert not given
    assert issued.secrets.number != taken
    async with world.db.read() as conn:
        assert await world.cards.number_of(conn, issued.card.id) == issued.secrets.number
        (found,) = await world.cards.resolve(
            conn, [CardNumber(issued.secrets.number, issued.secrets.pin)]
        )
    assert found is not None
    assert (found.card, found.proof) == (issued.card.id, Proof.RIGHT)


async def test_a_replacement_takes_the_root_over(world: make.World) -> None:
    """What `life` builds on: a new carrier and secret, no new root account."""
    programme = await make.programme(world)
    old = (await make.card(world, programme)).card
    blank = Blank(
        programme=programme,
        carrier=PHYSICAL,
        state=CardState.ACTIVE,
        root=old.root,
        secret_version=2,
        replaces=old.id,
        expires_on=old.expires_on,
    )
    async with world.db.transaction() as conn:
        new = await world.cards.make_card(conn, blank)
    assert (new.card.root, new.card.replaces) == (old.root, old.id)
    async with world.db.read() as conn:
        count = await fetch_value(conn, "select count(*) from ledger.root")
        (found,) = await world.cards.resolve(
            conn, [CardNumber(new.secrets.number, new.secrets.pin)]
        )
    assert count == 1
    assert found is not None
    assert (found.root, found.card, found.secret_version) == (old.root, new.card.id, 2)


async def test_many_at_once_do_not_share_a_number(world: make.World) -> None:
    programme = await make.programme(world)
    cards = await asyncio.gather(*[make.card(world, programme) for _ in range(20)])
    assert len({c.secrets.number for c in cards}) == 20
    async with world.db.read() as conn:
        issued = await fetch_value(conn, "select sum(issued) from cards.number_range")
    assert issued == 20


async def test_an_issue_is_told_before_all_else_of_its_root(world: make.World) -> None:
    issued = await make.card(world, await make.programme(world))
    async with world.db.read() as conn:
        row = await (
            await conn.execute("select type, root, root_seq, payload from base.outbox")
        ).fetchone()
    assert row is not None
    assert row[:3] == ("card.created", issued.card.root, 0)
    assert row[3]["card"] == issued.card.id


# --- many -----------------------------------------------------------------------------


async def batch_of(
    world: make.World, programme: Programme, count: int, carrier: Carrier = PHYSICAL
) -> str:
    new = NewBatch(programme=programme.id, carrier=carrier, count=count, reference="spring")
    async with world.db.transaction() as conn:
        return (await world.cards.open_batch(conn, new, world.by_two)).id


async def reveal(world: make.World, batch: str) -> list[Secrets]:
    async with world.db.transaction() as conn:
        return [secrets async for secrets in world.cards.reveal_batch(conn, batch)]


async def count(world: make.World, table: str) -> int:
    async with world.db.read() as conn:
        return int(await fetch_value(conn, f"select count(*) from {table}"))


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.row("S-20")
async def test_a_batch_is_made_in_chunks(world: make.World) -> None:
    programme = await make.programme(world)
    ident = await batch_of(world, programme, 100)
    told: list[tuple[int, int]] = []
    batch = await world.cards.run_batch(ident, lambda done, of: told.append((done, of)))
    assert told == [(40, 100), (80, 100), (100, 100)]
    assert (batch.state, batch.issued) == (BatchState.DONE, 100)
    secrets = await reveal(world, ident)
    assert [s.serial for s in secrets] == list(range(1, 101))
    assert len({s.number for s in secrets}) == 100
    by_range = [sum(s.number.startswith(p) for s in secrets) for p in programme.terms.prefixes]
    assert by_range == [51, 49] or min(by_range) >= 48, "ranges fill evenly"
    async with world.db.read() as conn:
        for shown in secrets[::9]:
            card = await world.cards.find_card(conn, shown.card)
            assert (card.batch, card.serial, card.state) == (ident, shown.serial, "in_stock")
        found = await world.cards.resolve(conn, [CardNumber(s.number, s.pin) for s in secrets])
    assert all(f is not None and f.proof is Proof.RIGHT for f in found)
    assert await count(world, "ledger.root") == 100


@pytest.mark.usefixtures("small_chunks")
async def test_a_batch_goes_on_after_a_crash(
    world: make.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash inside the second chunk costs that chunk, and nothing is made twice."""
    programme = await make.programme(world)
    ident = await batch_of(world, programme, 100)
    real = sql.copy_cards
    calls = 0

    async def crash(conn: object, rows: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise RuntimeError("power cut")
        await real(conn, rows)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(sql, "copy_cards", crash)
    with pytest.raises(RuntimeError):
        await world.cards.run_batch(ident)
    assert await count(world, "cards.card") == await count(world, "cards.credential") == 40
    async with world.db.read() as conn:
        (waiting,) = await world.cards.unfinished_batches(conn)
    assert (waiting.id, waiting.issued) == (ident, 40)
    batch = await world.cards.run_batch(ident)
    assert batch.state is BatchState.DONE
    assert await count(world, "cards.card") == await count(world, "ledger.root") == 100
    assert [s.serial for s in await reveal(world, ident)] == list(range(1, 101))
    async with world.db.read() as conn:
        assert await fetch_value(conn, "select sum(issued) from cards.number_range") == 100
    assert (await world.cards.run_batch(ident)).issued == 100, "a finished batch stays as it is"


@pytest.mark.usefixtures("small_chunks")
async def test_two_workers_at_one_batch_make_it_once(world: make.World) -> None:
    ident = await batch_of(world, await make.programme(world), 200)
    await asyncio.gather(*[world.cards.run_batch(ident) for _ in range(3)])
    assert await count(world, "cards.card") == 200
    assert len(await reveal(world, ident)) == 200


@pytest.mark.usefixtures("small_chunks")
async def test_a_stopped_batch_stays_stopped(world: make.World) -> None:
    ident = await batch_of(world, await make.programme(world), 100)

    async def stop() -> None:
        async with world.db.transaction() as conn:
            await world.cards.stop_batch(conn, ident)

    stopping: list[asyncio.Task[None]] = []

    def told(done: int, of: int) -> None:
        if not stopping:
            stopping.append(asyncio.create_task(stop()))

    with pytest.raises(KabaoError) as stopped:
        await world.cards.run_batch(ident, told)
    await stopping[0]
    assert str(stopped.value.code) == "batch_stopped"
    assert await count(world, "cards.card") in {40, 80}


@pytest.mark.row("ATK-11")
async def test_from_two_cards_on_it_takes_two_people(world: make.World) -> None:
    programme = await make.programme(world)
    for cards, alone in ((1, True), (2, False), (3, False)):
        new = NewBatch(programme=programme.id, carrier=ELECTRONIC, count=cards)
        if alone:
            assert (await world.cards.issue_batch(new, world.by)).state is BatchState.DONE
        else:
            with pytest.raises(KabaoError) as refused:
                await world.cards.issue_batch(new, world.by)
            assert (str(refused.value.code), refused.value.rule) == ("approval_needed", "ATK-11")
        assert (await world.cards.issue_batch(new, world.by_two)).state is BatchState.DONE


@pytest.mark.row("K-01")
async def test_how_large_a_batch_may_be(world: make.World) -> None:
    programme = await make.programme(world, prefixes=("66001", "66002"))
    await batch_of(world, programme, 1_000_000)
    for cards, code, rule in ((0, "invalid", None), (1_000_001, "batch_too_large", "K-01")):
        with pytest.raises(KabaoError) as refused:
            await batch_of(world, programme, cards)
        assert (str(refused.value.code), refused.value.rule) == (code, rule)


async def test_a_batch_larger_than_its_ranges_is_refused_at_once(world: make.World) -> None:
    programme = await make.programme(
        world, prefixes=("8801000001", "8801000002"), limits={CARD_NUMBER_DENSITY_PPM: 1}
    )
    await batch_of(world, programme, 200)
    with pytest.raises(KabaoError) as refused:
        await batch_of(world, programme, 201)
    assert (str(refused.value.code), refused.value.rule) == ("number_range_full", "ATK-2")


@pytest.mark.usefixtures("small_chunks")
async def test_room_taken_meanwhile_is_shared_out_again(
    world: make.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between drawing and storing, somebody else fills one of the ranges."""
    programme = await make.programme(world, prefixes=("8803000001", "8803000002"))
    ident = await batch_of(world, programme, 40)
    real = world.cards.draw_many
    drawn = 0

    async def meanwhile(*args: object) -> object:
        nonlocal drawn
        drawn += 1
        if drawn == 1:
            async with world.db.transaction() as conn:
                await conn.execute(
                    "update cards.number_range set issued = 9999 where prefix = '8803000001'"
                )
        return await real(*args)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(world.cards, "draw_many", meanwhile)
    await world.cards.run_batch(ident)
    secrets = await reveal(world, ident)
    assert drawn == 2
    assert sum(s.number.startswith("8803000001") for s in secrets) <= 1
    assert len(secrets) == 40


@pytest.mark.usefixtures("small_chunks")
async def test_a_suspended_programme_pauses_its_batch(world: make.World) -> None:
    programme = await make.programme(world)
    ident = await batch_of(world, programme, 80)
    async with world.db.transaction() as conn:
        await world.cards.change_programme(
            conn, programme.id, version=1, state=ProgrammeState.SUSPENDED, by=world.by_two
        )
    with pytest.raises(KabaoError):
        await world.cards.run_batch(ident)
    other = await batch_of(world, await make.programme(world), 3)
    assert await world.cards.run_unfinished() == 1, "it does not hold up the others"
    assert len(await reveal(world, other)) == 3
    async with world.db.transaction() as conn:
        await world.cards.change_programme(
            conn, programme.id, version=2, state=ProgrammeState.ACTIVE, by=world.by_two
        )
    assert await world.cards.run_unfinished() == 1
    assert len(await reveal(world, ident)) == 80


async def test_bulk_cards_of_a_registered_programme_wait_for_their_holders(
    world: make.World,
) -> None:
    programme = await make.programme(world, REGISTERED)
    ident = await batch_of(world, programme, 3, ELECTRONIC)
    await world.cards.run_batch(ident)
    async with world.db.read() as conn:
        cards = await world.cards.list_cards(conn, programme=programme.id)
        states = {c.state for c in cards}
        roots = {r.state for c in cards if (r := await world.ledger.root(conn, c.root))}
    assert states == {CardState.INACTIVE}
    assert roots == {RootState.INACTIVE}


# --- secrets, once ---------------------------------------------------------------------


@pytest.mark.row("ATK-12")
async def test_secrets_of_a_batch_are_shown_once(world: make.World) -> None:
    ident = await batch_of(world, await make.programme(world), 10)
    await world.cards.run_batch(ident)

    async def lose_the_file() -> None:
        async with world.db.transaction() as conn:
            shown = [secrets async for secrets in world.cards.reveal_batch(conn, ident)]
            raise RuntimeError(f"no room for a file of {len(shown)}")

    with pytest.raises(RuntimeError, match="file of 10"):
        await lose_the_file()
    assert len(await reveal(world, ident)) == 10, "what was rolled back was not shown"
    with pytest.raises(KabaoError) as again:
        await reveal(world, ident)
    assert str(again.value.code) == "secrets_gone"
    assert await count(world, "cards.batch_chunk where secrets_sealed is not null") == 0


async def test_secrets_nobody_fetches_are_wiped(world: make.World) -> None:
    ident = await batch_of(world, await make.programme(world), 5)
    await world.cards.run_batch(ident)
    world.clock.advance(timedelta(hours=24) - timedelta(seconds=1))
    async with world.db.transaction() as conn:
        assert await world.cards.wipe_secrets(conn) == 0
    world.clock.advance(timedelta(seconds=1))
    with pytest.raises(KabaoError) as late:
        await reveal(world, ident)
    assert str(late.value.code) == "secrets_gone"
    async with world.db.transaction() as conn:
        assert await world.cards.wipe_secrets(conn) == 1
    assert await count(world, "cards.batch_chunk where secrets_sealed is not null") == 0


async def test_the_kinds_of_credential_do_not_meet(world: make.World) -> None:
    """A card key with the blind index of a number is another credential."""
    issued = await make.card(world, await make.programme(world))
    async with world.db.transaction() as conn:
        blind = await fetch_value(conn, "select blind from cards.credential")
        row = sql.CredentialRow(blind, world.ids.new(), world.ids.new(), 1, None, None)
        assert await sql.claim_credentials(conn, CredentialKind.NUMBER, [row]) == set()
        assert await sql.claim_credentials(conn, CredentialKind.CARD_KEY, [row]) == {row.card}
        (found,) = await world.cards.resolve(
            conn, [CardNumber(issued.secrets.number, issued.secrets.pin)]
        )
    assert found is not None
    assert found.card == issued.card.id
