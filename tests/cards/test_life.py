"""Activate, freeze, lose, replace, expire, exchange, transfer: on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from kabao.base.db import Database
from kabao.base.errors import KabaoError
from kabao.base.jobs import Jobs
from kabao.cards.jobs import register
from kabao.cards.model import CardClass, Carrier, Issued
from kabao.cards.ops.secrets import NewPin
from kabao.cards.states import Reason
from kabao.ledger.model import RootState
from kabao.policy.choices import Scope, Switch, SwitchState
from kabao.policy.model import Setting
from tests.ledger.make import WAITS_FOR_A_LOCK, until

from . import lives, make
from .lives import BOUGHT, Living, bearer, holder, loaded, pay, refused, registered, shown


@pytest.fixture
async def world(db: Database, tmp_path: Path) -> AsyncIterator[Living]:
    async with lives.living(db, tmp_path) as made:
        yield made


async def freeze(world: Living, card: Issued, reason: Reason = Reason.RISK) -> None:
    await world.do(lambda c: world.life.freeze(c, card.card.id, reason, None, world.by))


async def unfreeze(world: Living, card: Issued, reason: Reason) -> None:
    await world.do(lambda c: world.life.unfreeze(c, card.card.id, reason, None, world.by))


async def test_a_freeze_stops_payments_and_is_lifted_by_who_may(world: Living) -> None:
    card = await bearer(world)
    await loaded(world, card, 10_000)
    await freeze(world, card)
    assert await world.state(card) == "frozen"
    assert (await world.root(card)).state == RootState.FROZEN
    assert await world.ledger.post(pay(world, card, 100)) == {"paid": False}
    async with refused("card_freeze_held"):
        await unfreeze(world, card, Reason.DISPUTE_CLOSED)
    async with refused("claim_too_weak"):
        await unfreeze(world, card, Reason.HOLDER_REQUEST)
    await unfreeze(world, card, Reason.RISK_CLEARED)
    assert await world.ledger.post(pay(world, card, 100)) == {"paid": True}


async def test_a_holder_freezes_with_the_card_in_hand(world: Living) -> None:
    card = await bearer(world)
    by, ident = world.counter, card.card.id
    await world.do(
        lambda c: world.life.freeze(c, ident, Reason.HOLDER_REQUEST, shown(card.secrets), by)
    )
    await freeze(world, card, Reason.AUTHORITY)
    async with refused("card_freeze_held"):
        await world.do(
            lambda c: world.life.unfreeze(c, ident, Reason.HOLDER_REQUEST, shown(card.secrets), by)
        )
    async with refused("card_state_forbids"):
        await freeze(world, card, Reason.DISPUTE)


async def test_every_change_is_on_record_and_told(world: Living) -> None:
    card = await bearer(world)
    await freeze(world, card)
    await unfreeze(world, card, Reason.RISK_CLEARED)
    async with world.db.read() as conn:
        lines = await world.life.history(conn, card.card.id, before=None, limit=10)
        told = await (
            await conn.execute(
                "select type, payload ->> 'to', root_seq from base.outbox where root = %s"
                " and type = 'card.state_changed' order by root_seq",
                [card.card.root],
            )
        ).fetchall()
    assert [(line.verb, line.from_state, line.to_state, line.done_by) for line in lines] == [
        ("unfreeze", "frozen", "active", "maker"),
        ("freeze", "active", "frozen", "maker"),
    ]
    assert [(row[1], row[2]) for row in told] == [("frozen", 1), ("active", 2)]


async def test_a_freeze_and_payments_in_flight_have_an_order(world: Living) -> None:
    """No payment is taken after the freeze: the root's row orders them."""
    card = await bearer(world)
    await loaded(world, card, 100_000)
    payments = [world.ledger.post(pay(world, card, 10)) for _ in range(100)]
    answers = asyncio.gather(*payments)
    await freeze(world, card)
    later = [world.ledger.post(pay(world, card, 10)) for _ in range(20)]
    paid = sum(answer["paid"] for answer in await answers)
    assert [answer["paid"] for answer in await asyncio.gather(*later)] == [False] * 20
    assert (await world.root(card)).principal_fen == 100_000 - 10 * paid
    async with world.db.read() as conn:
        rows = await (
            await conn.execute(
                "select type from base.outbox where root = %s order by root_seq", [card.card.root]
            )
        ).fetchall()
    types = [row[0] for row in rows]
    assert "payment.captured" not in types[types.index("card.state_changed") :]


# --- loss ---------------------------------------------------------------------------


async def report(world: Living, card: Issued, claim: object) -> None:
    await world.do(
        lambda c: world.life.report_loss(c, card.card.id, claim, Reason.LOST, world.by)  # type: ignore[arg-type]
    )


async def test_a_registered_card_is_stopped_at_once_by_its_holder(world: Living) -> None:
    card, person = await registered(world)
    await loaded(world, card, 5_000)
    other = await make.holder(world, identified=True, n=9)
    async with refused("not_the_holder", "CR-30"):
        await report(world, card, holder(other.id))
    async with refused("claim_too_weak"):
        await report(world, card, BOUGHT)
    await report(world, card, holder(person))
    assert (await world.root(card)).state == RootState.LOST
    assert await world.ledger.post(pay(world, card, 100)) == {"paid": False}
    world.clock.advance(timedelta(days=400))
    assert await world.do(world.life.lapse_due) == 0
    async with refused("claim_too_weak"):
        await world.do(
            lambda c: world.life.withdraw_loss(c, card.card.id, shown(card.secrets), world.by)
        )
    await world.do(lambda c: world.life.withdraw_loss(c, card.card.id, holder(person), world.by))
    assert await world.state(card) == "active"


async def test_a_bearer_card_is_stopped_for_72_hours(world: Living) -> None:
    card = await bearer(world)
    await report(world, card, BOUGHT)
    world.clock.advance(timedelta(hours=72) - timedelta(microseconds=1))
    assert await world.do(world.life.lapse_due) == 0
    assert await world.state(card) == "lost"
    world.clock.advance(timedelta(microseconds=1))
    assert await world.do(world.life.lapse_due) == 1
    assert await world.state(card) == "active"
    assert await world.do(world.life.lapse_due) == 0


async def test_a_reseller_cannot_lock_out_the_buyer(world: Living) -> None:
    card = await bearer(world)
    await report(world, card, BOUGHT)
    async with refused("claim_too_weak"):
        await world.do(lambda c: world.life.withdraw_loss(c, card.card.id, BOUGHT, world.by))
    await world.do(
        lambda c: world.life.withdraw_loss(c, card.card.id, shown(card.secrets), world.by)
    )
    assert await world.state(card) == "active"
    async with refused("claim_too_weak", "ruling 3"):
        await report(world, card, BOUGHT)
    await report(world, card, shown(card.secrets))
    assert await world.state(card) == "lost"


async def test_a_loss_withdrawn_leaves_the_freeze(world: Living) -> None:
    card = await bearer(world)
    await freeze(world, card, Reason.AUTHORITY)
    await report(world, card, BOUGHT)
    assert await world.state(card) == "lost_frozen"
    await world.do(
        lambda c: world.life.withdraw_loss(c, card.card.id, shown(card.secrets), world.by)
    )
    assert await world.state(card) == "frozen"
    async with refused("card_freeze_held"):
        await unfreeze(world, card, Reason.RISK_CLEARED)
    await report(world, card, shown(card.secrets))
    await unfreeze(world, card, Reason.AUTHORITY_RELEASED)
    assert await world.state(card) == "lost"
    assert (await world.root(card)).state == RootState.LOST


# --- replacement ---------------------------------------------------------------------


async def test_a_replacement_keeps_the_value_and_kills_the_old_secret(world: Living) -> None:
    card, person = await registered(world)
    await loaded(world, card, 5_000, 500)
    await report(world, card, holder(person))
    new = await world.do(
        lambda c: world.life.replace(
            c, card.card.id, holder(person), Carrier.ELECTRONIC, None, world.by
        )
    )
    root = await world.root(card)
    assert (root.card, root.secret_version, root.state) == (new.card.id, 2, RootState.ACTIVE)
    assert (root.principal_fen, root.bonus_fen) == (5_000, 500)
    assert (await world.state(card), await world.state(new)) == ("replaced", "active")
    assert new.card.holder == person
    assert new.secrets.number != card.secrets.number
    async with world.db.read() as conn:
        old, fresh = await world.cards.resolve(
            conn, [shown(card.secrets).source, shown(new.secrets).source]
        )
    assert old is not None
    assert fresh is not None
    assert (old.card, old.secret_version) != (root.card, root.secret_version)
    assert (fresh.card, fresh.secret_version) == (root.card, root.secret_version)
    async with refused("secret_not_accepted"):
        await world.do(
            lambda c: world.life.change_pin(c, card.card.id, card.secrets.pin, "918273", world.by)
        )


async def test_plastic_by_post_waits_and_is_activated_on_arrival(world: Living) -> None:
    of = await make.programme(world, CardClass.REGISTERED)
    card, person = await registered(world, of)
    await report(world, card, holder(person))

    async def post() -> Issued:
        return await world.do(
            lambda c: world.life.replace(
                c, card.card.id, holder(person), Carrier.PHYSICAL, None, world.by
            )
        )

    world.clock.advance(timedelta(hours=24) - timedelta(microseconds=1))
    async with refused("replacement_too_early", "P-15"):
        await post()
    world.clock.advance(timedelta(microseconds=1))
    new = await post()
    assert await world.state(new) == "posted"
    assert (await world.root(card)).state == RootState.INACTIVE
    async with refused("claim_too_weak"):
        await world.do(lambda c: world.life.activate(c, new.card.id, world.by))
    await world.do(
        lambda c: world.life.activate(c, new.card.id, world.by, claim=shown(new.secrets))
    )
    assert await world.state(new) == "active"


async def test_at_the_counter_plastic_is_replaced_at_once(world: Living) -> None:
    card, person = await registered(world)
    await report(world, card, holder(person))
    new = await world.do(
        lambda c: world.life.replace(
            c, card.card.id, holder(person), Carrier.PHYSICAL, None, world.counter
        )
    )
    assert await world.state(new) == "active"


async def test_a_replacement_that_waits_for_numbers_holds_up_no_payment(world: Living) -> None:
    """A bulk issue keeps the numbers of the programme while it stores its cards."""
    of = await make.programme(world)
    card = await make.card(world, of)
    await loaded(world, card, 1_000)

    async def replace() -> Issued:
        claim, ident = shown(card.secrets), card.card.id
        return await world.do(
            lambda c: world.life.replace(c, ident, claim, Carrier.ELECTRONIC, None, world.by)
        )

    async with world.db.transaction() as bulk:
        await world.cards.lock_numbers(bulk, of)
        waits = asyncio.create_task(replace())
        await until(world.db, WAITS_FOR_A_LOCK)
        assert await world.ledger.post(pay(world, card, 100)) == {"paid": True}
        assert not waits.done()
    new = await waits
    assert (await world.root(card)).card == new.card.id


async def test_a_bearer_card_is_replaced_when_damaged_but_not_when_lost(world: Living) -> None:
    card = await bearer(world)
    claim = shown(card.secrets)

    async def again(ident: str) -> Issued:
        return await world.do(
            lambda c: world.life.replace(c, ident, claim, Carrier.ELECTRONIC, None, world.by)
        )

    await report(world, card, claim)
    async with refused("bearer_card_not_replaced", "ruling 3"):
        await again(card.card.id)
    await world.do(lambda c: world.life.withdraw_loss(c, card.card.id, claim, world.by))
    new = await again(card.card.id)
    assert await world.state(new) == "active"
    async with refused("secret_not_accepted"):
        await again(card.card.id)


async def test_one_of_many_replacements_at_once_wins(world: Living) -> None:
    card, person = await registered(world)
    await loaded(world, card, 5_000)

    async def replace() -> bool:
        try:
            async with world.db.transaction() as conn:
                await world.life.replace(
                    conn, card.card.id, holder(person), Carrier.ELECTRONIC, None, world.by
                )
        except KabaoError:
            return False
        return True

    assert sum(await asyncio.gather(*(replace() for _ in range(10)))) == 1
    assert (await world.root(card)).principal_fen == 5_000


# --- expiry ---------------------------------------------------------------------------


async def expired(world: Living) -> Issued:
    """A bearer card with money on it whose last day was yesterday."""
    card = await bearer(world)
    await loaded(world, card, 8_000)
    last = card.card.expires_on
    assert last == date(2029, 11, 22)
    world.clock.advance(timedelta(days=(last - date(2026, 11, 22)).days))
    assert await world.do(world.life.expire_due) == 0, "the last day is included"
    world.clock.advance(timedelta(hours=11, minutes=59))
    assert await world.do(world.life.expire_due) == 0
    world.clock.advance(timedelta(minutes=1))
    return card


@pytest.mark.row("P-18", "CR-13")
async def test_expiry_is_exact_and_its_value_is_kept(world: Living) -> None:
    card = await expired(world)
    async with refused("card_state_forbids"):
        await world.do(
            lambda c: world.life.change_pin(c, card.card.id, card.secrets.pin, "918273", world.by)
        )
    assert await world.do(world.life.expire_due) == 1
    root = await world.root(card)
    assert (root.state, root.principal_fen) == (RootState.EXPIRED, 8_000)


@pytest.mark.parametrize("job_came_first", [True, False])
async def test_an_expired_card_is_exchanged_value_intact(
    world: Living, job_came_first: bool
) -> None:
    card = await expired(world)
    if job_came_first:
        await world.do(world.life.expire_due)
    new = await world.do(
        lambda c: world.life.exchange(
            c, card.card.id, shown(card.secrets), Carrier.ELECTRONIC, world.by
        )
    )
    root = await world.root(card)
    assert (root.card, root.principal_fen) == (new.card.id, 8_000)
    assert root.valid_until == new.card.expires_on == date(2032, 11, 23)
    assert (await world.state(card), await world.state(new)) == ("replaced", "active")


@pytest.mark.parametrize("job_came_first", [True, False])
async def test_an_expired_card_is_reactivated(world: Living, job_came_first: bool) -> None:
    card = await expired(world)
    if job_came_first:
        await world.do(world.life.expire_due)
    await world.do(lambda c: world.life.reactivate(c, card.card.id, shown(card.secrets), world.by))
    root = await world.root(card)
    assert (root.state, root.valid_until) == (RootState.ACTIVE, date(2032, 11, 23))
    assert await world.do(world.life.expire_due) == 0
    async with refused("card_state_forbids"):
        await world.do(
            lambda c: world.life.reactivate(c, card.card.id, shown(card.secrets), world.by)
        )


# --- activation and transfer ------------------------------------------------------------


async def test_a_registered_card_is_activated_only_for_a_known_person(world: Living) -> None:
    of = await make.programme(world, CardClass.REGISTERED, active_at_issue=False)
    card = await make.card(world, of)
    stranger = await make.holder(world, identified=False, n=1)
    person = await make.holder(world, identified=True, n=2)

    async def activate(customer: str | None) -> None:
        await world.do(lambda c: world.life.activate(c, card.card.id, world.by, holder=customer))

    async with refused("holder_not_identified", "CR-07"):
        await activate(None)
    async with refused("holder_not_identified", "CR-07"):
        await activate(stranger.id)
    await activate(person.id)
    assert await world.state(card) == "active"
    async with refused("card_state_forbids"):
        await activate(person.id)


async def test_validity_starts_with_the_activation(world: Living) -> None:
    card = await bearer(world, await make.programme(world, active_at_issue=False))
    world.clock.advance(timedelta(days=100))
    await world.do(lambda c: world.life.activate(c, card.card.id, world.by))
    assert (await world.root(card)).valid_until == date(2030, 3, 2)


async def test_an_electronic_card_is_transferred_onto_a_new_carrier(world: Living) -> None:
    card, person = await registered(world)
    await loaded(world, card, 5_000)
    heir = await make.holder(world, identified=True, n=5)
    new = await world.do(
        lambda c: world.life.transfer(
            c, card.card.id, holder(person), heir.id, Reason.GIVEN, world.by
        )
    )
    assert isinstance(new, Issued)
    assert new.card.holder == heir.id
    root = await world.root(card)
    assert (root.card, root.principal_fen) == (new.card.id, 5_000)
    async with refused("secret_not_accepted"):
        await world.do(
            lambda c: world.life.freeze(
                c, new.card.id, Reason.HOLDER_REQUEST, shown(card.secrets), world.by
            )
        )
    async with refused("not_the_holder"):
        await world.do(
            lambda c: world.life.transfer(c, new.card.id, holder(person), person, None, world.by)
        )


async def test_plastic_is_transferred_with_a_new_pin(world: Living) -> None:
    card, person = await registered(world)
    plastic = await world.do(
        lambda c: world.life.replace(
            c,
            card.card.id,
            holder(person),
            Carrier.PHYSICAL,
            Reason.CARRIER_CHANGED,
            world.counter,
        )
    )
    heir = await make.holder(world, identified=True, n=5)
    moved = await world.do(
        lambda c: world.life.transfer(c, plastic.card.id, holder(person), heir.id, None, world.by)
    )
    assert isinstance(moved, NewPin)
    assert moved.card.holder == heir.id
    assert moved.card.id == plastic.card.id
    async with refused("secret_not_accepted"):
        await world.do(
            lambda c: world.life.change_pin(
                c, plastic.card.id, plastic.secrets.pin, "918273", world.by
            )
        )
    await world.do(
        lambda c: world.life.change_pin(c, plastic.card.id, moved.pin, "918273", world.by)
    )
    assert (await world.root(card)).secret_version == 4


async def test_a_transfer_wants_a_known_person(world: Living) -> None:
    card, person = await registered(world)
    stranger = await make.holder(world, identified=False, n=5)
    async with refused("holder_not_identified"):
        await world.do(
            lambda c: world.life.transfer(
                c, card.card.id, holder(person), stranger.id, None, world.by
            )
        )
    async with refused("invalid"):
        await world.do(
            lambda c: world.life.transfer(c, card.card.id, holder(person), person, None, world.by)
        )


# --- roads seldom taken ---------------------------------------------------------------------


async def test_a_card_frozen_in_the_post_counts_as_lost(world: Living) -> None:
    """Lifting the freeze must not make a card spendable that lies in a letter box."""
    card, person = await registered(world)
    await loaded(world, card, 700)
    new = await world.do(
        lambda c: world.life.replace(
            c, card.card.id, holder(person), Carrier.PHYSICAL, Reason.DAMAGED, world.by
        )
    )
    assert await world.state(new) == "posted"
    await freeze(world, new)
    await unfreeze(world, new, Reason.RISK_CLEARED)
    assert await world.state(new) == "lost"
    third = await world.do(
        lambda c: world.life.replace(
            c, new.card.id, holder(person), Carrier.ELECTRONIC, None, world.by
        )
    )
    assert await world.state(third) == "active"
    assert (await world.root(card)).principal_fen == 700


async def test_the_jobs_see_to_what_is_due_and_to_nothing_else(world: Living) -> None:
    of = await make.programme(world)
    over, stopped, lost = [await bearer(world, of) for _ in range(3)]
    await freeze(world, stopped)
    await report(world, lost, BOUGHT)
    await freeze(world, lost, Reason.AUTHORITY)
    world.clock.advance(timedelta(days=1_200))
    fresh = await bearer(world, of)
    jobs = Jobs(world.db)
    register(jobs, world.db, world.life)
    for _ in range(2):
        await jobs.tick_once("cards.expire")
        await jobs.tick_once("cards.lapse_losses")
    states = [await world.state(card) for card in (over, stopped, lost, fresh)]
    assert states == ["expired", "frozen", "frozen", "active"]
    async with refused("card_freeze_held"):
        await unfreeze(world, lost, Reason.RISK_CLEARED)
    await unfreeze(world, lost, Reason.AUTHORITY_RELEASED)
    await jobs.tick_once("cards.expire")
    assert await world.state(lost) == "expired"


@pytest.mark.row("CR-33")
async def test_what_is_switched_off_is_refused(world: Living) -> None:
    of = await make.programme(world, active_at_issue=False)
    unsold = await bearer(world, of)
    card, person = await registered(world)
    heir = await make.holder(world, identified=True, n=7)
    await loaded(world, card, 500)
    async with world.db.transaction() as conn:
        for switch in (Switch.STOP_SALE, Switch.STOP_TRANSFER, Switch.STOP_CASH_OUT):
            setting = Setting(switch, Scope.GROUP, None, SwitchState.STOPPED, "why", "ann")
            await world.policy.set_switch(conn, setting)
    async with world.db.read() as conn:
        await world.policy.refresh(conn)
    async with refused("stopped"):
        await world.do(lambda c: world.life.activate(c, unsold.card.id, world.by))
    async with refused("stopped"):
        await world.do(
            lambda c: world.life.transfer(c, card.card.id, holder(person), heir.id, None, world.by)
        )
    async with refused("stopped"):
        await world.do(
            lambda c: world.life.cash_out(
                c, card.card.id, holder(person), person, None, world.counter
            )
        )
    new = await world.do(
        lambda c: world.life.replace(
            c, card.card.id, holder(person), Carrier.ELECTRONIC, Reason.DAMAGED, world.by
        )
    )
    assert await world.state(new) == "active", "what holders are owed goes on"
