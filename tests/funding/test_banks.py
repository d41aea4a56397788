"""Collections through banks: transfers, payouts, pages, and money that is taken back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path

import httpx
import pytest

from kabao.base.clock import FixedClock
from kabao.base.db import Database, fetch_all
from kabao.base.errors import Code, KabaoError, Kind
from kabao.base.ids import SequentialIds
from kabao.funding.model.answers import Payer, Scene, Show, Slip, Unreachable, Waiting
from kabao.funding.model.collections import Shown
from kabao.funding.model.life import RefundState, State
from kabao.funding.model.receipts import Receipts
from kabao_sandbox.bank.model import account_of
from kabao_sandbox.parties import PARTIES
from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.host import Host

from .world import World, key_pool, world


@pytest.fixture
async def at(db: Database, clock: FixedClock, tmp_path: Path) -> AsyncIterator[World]:
    async with world(db, clock, tmp_path, []) as made:
        for name, scene in (
            ("bank", Scene.TRANSFER),
            ("netbank", Scene.PAGE),
            ("cards", Scene.PAGE),
            ("acquirer", Scene.TERMINAL),
        ):
            host = Host(PARTIES[name](clock.now_us, Chance(1), key_pool()), Chance(2))
            await host.start()
            made.hosts[name] = host
            await made.add(name, name, scenes=(scene,))
        yield made


async def shown(at: World, channel: str = "bank", fen: int = 50_000_00) -> Shown:
    scene = Scene.TRANSFER if channel == "bank" else Scene.PAGE
    made = await at.begun(fen, scene, channel=channel)
    assert made.collection.state is State.PENDING and made.waiting is not None
    return made


async def transfer(at: World, waiting: Waiting, amount_fen: int) -> None:
    async with httpx.AsyncClient(base_url=at.hosts["bank"].desk_url, trust_env=False) as desk:
        done = await desk.post("/transfers", json={"to": waiting.text, "amount": amount_fen})
        assert done.status_code == 200


async def test_a_transfer_confirms_and_goes_back_to_its_account(at: World) -> None:
    made = await shown(at)
    assert made.waiting is not None and made.waiting.show is Show.ACCOUNT
    await transfer(at, made.waiting, 50_000_00)
    await at.told()
    assert at.loads.confirmed_for == [made.collection.id]
    async with at.db.transaction() as conn:
        await at.funding.refund_in(conn, made.collection.id, 20_000_00, key="r1", reason="退款")
    for _ in range(3):
        await at.passes(60)
    assert [(one.amount_fen, one.state) for one in at.loads.refunds] == [
        (20_000_00, RefundState.DONE)
    ]
    assert at.trade(made.collection).refunded_fen == 20_000_00


async def test_a_payout_that_was_refused_is_sent_under_a_number_of_its_own(at: World) -> None:
    at.loads.refusal = KabaoError(Code("card_closed", Kind.REFUSED, "Closed."), rule="CR-12")
    made = await shown(at)
    assert made.waiting is not None
    await does(at, "closed")
    await transfer(at, made.waiting, 50_000_00)
    await at.told()
    await at.passes(1)
    (refund,) = await at.refunds(made.collection)
    assert (refund.state, refund.refusal) == (RefundState.REFUSED, "AC04")
    await does(at, "takes")
    for _ in range(2):
        async with at.db.transaction() as conn:
            await at.funding.refund_again_in(conn, refund.id)
    for _ in range(3):
        await at.passes(60)
    refunds = await at.refunds(made.collection)
    assert [one.state for one in refunds] == [RefundState.REFUSED, RefundState.DONE]
    assert at.trade(made.collection).refunded_fen == 50_000_00
    assert (await at.now(made.collection)).state is State.REFUNDED


async def does(at: World, what: str) -> None:
    """What the payer's account does with what is paid to it."""
    async with httpx.AsyncClient(base_url=at.hosts["bank"].desk_url, trust_env=False) as desk:
        done = await desk.put(f"/payees/{account_of('李四')}", json={"does": what})
        assert done.status_code == 200


async def test_a_transfer_of_another_sum_is_a_case_and_loads_nothing(at: World) -> None:
    made = await shown(at)
    assert made.waiting is not None
    await transfer(at, made.waiting, 49_999_99)
    async with asyncio.timeout(10):
        while not await at.cases():  # the bank repeats what is refused, so it is never all told
            await at.ticks()
    assert not at.loads.confirmed_for
    await at.passes(60)
    assert (await at.now(made.collection)).state is State.PENDING


async def test_a_page_of_a_bank_is_paid(at: World) -> None:
    made = await shown(at, "netbank")
    assert made.waiting is not None and made.waiting.show is Show.FORM
    async with httpx.AsyncClient(trust_env=False) as browser:
        page = await browser.post(made.waiting.text, data=dict(made.waiting.fields))
        assert page.status_code == 200
        order = made.waiting.fields["order"]
        await browser.post(f"{at.hosts['netbank'].url}/pay/{order}")
    await at.told()
    assert at.loads.confirmed_for == [made.collection.id]


async def test_a_charge_back_is_told_once_with_what_was_taken(at: World) -> None:
    made = await shown(at, "cards")
    assert at.pays(made.collection, "cards")
    await at.told()
    assert at.loads.confirmed_for == [made.collection.id]
    at.order_faults("cards", duplicate=3)
    assert at.hosts["cards"].recall(at.trade(made.collection), 30_000_00)
    await at.told()
    await at.passes(60)
    assert at.loads.recalls == [(made.collection.id, 30_000_00)]


async def desk(at: World, **what: object) -> None:
    async with httpx.AsyncClient(base_url=at.hosts["bank"].desk_url, trust_env=False) as asks:
        assert (await asks.post("/transfers", json=what)).status_code == 200


async def receipts(at: World) -> list[tuple[int, str | None]]:
    async with at.db.read() as conn:
        rows = await fetch_all(
            conn, dict, "select amount_fen, nobodys from funding.receipt order by received_at, no"
        )
    return [(row["amount_fen"], row["nobodys"]) for row in rows]


async def test_what_comes_with_a_reference_is_the_orders(at: World) -> None:
    made = await shown(at)
    assert made.waiting is not None
    await desk(at, amount=50_000_00, words=f"充值 {made.waiting.fields['reference']}")
    assert await at.funding.receive() == 1
    assert at.loads.confirmed_for == [made.collection.id]
    assert await receipts(at) == [(50_000_00, None)]
    assert await at.funding.receive() == 0
    await at.passes(60)
    assert at.loads.confirmed_for == [made.collection.id] and not await at.cases()


async def test_what_is_not_exactly_an_orders_is_nobodys_and_one_case(at: World) -> None:
    made = await shown(at)
    assert made.waiting is not None
    reference = made.waiting.fields["reference"]
    await desk(at, amount=49_999_99, words=reference)
    await desk(at, amount=50_000_00, words="房租")
    await desk(at, amount=50_000_00, words="000000000000")
    both = [at.funding, at.made(SequentialIds(99))]
    await both[1].refresh()
    for _ in range(2):  # in two processes, again and again
        await asyncio.gather(*(one.receive() for one in both))
    assert await receipts(at) == [
        (49_999_99, "wrong_amount"),
        (50_000_00, "no_reference"),
        (50_000_00, "no_order"),
    ]
    assert await at.cases() == ["funding.nobodys"] * 3
    async with at.db.read() as conn:
        told = await fetch_all(conn, dict, "select occurrences from cases.case")
    assert [row["occurrences"] for row in told] == [1, 1, 1]
    assert not at.loads.confirmed_for
    assert (await at.now(made.collection)).state is State.PENDING


async def test_money_for_an_order_that_was_given_up_goes_back(at: World) -> None:
    made = await shown(at)
    assert made.waiting is not None
    await at.funding.cancel(made.collection.id)
    assert (await at.now(made.collection)).state is State.EXPIRED
    await desk(at, amount=50_000_00, words=made.waiting.fields["reference"], name="李四")
    assert await at.funding.receive() == 1
    for _ in range(4):
        await at.passes(120)
    assert (await at.now(made.collection)).state is State.REFUNDED
    assert not at.loads.confirmed_for


async def test_a_second_transfer_goes_back_by_itself(at: World) -> None:
    made = await shown(at)
    assert made.waiting is not None
    for _ in range(2):
        await desk(at, amount=50_000_00, words=made.waiting.fields["reference"], name="李四")
    await at.funding.receive()
    for _ in range(4):
        await at.passes(120)
    assert at.loads.confirmed_for == [made.collection.id]
    assert await receipts(at) == [(50_000_00, None)] * 2
    (back,) = await at.refunds(made.collection)
    assert (back.amount_fen, back.state) == (50_000_00, RefundState.DONE)


async def test_a_bank_that_is_away_is_asked_again(at: World) -> None:
    made = await shown(at)
    assert made.waiting is not None
    await desk(at, amount=50_000_00, words=made.waiting.fields["reference"])
    at.order_faults("bank", lose=100)
    assert await at.funding.receive() == 0
    at.order_faults("bank")
    assert await at.funding.receive() == 1
    assert at.loads.confirmed_for == [made.collection.id]


async def test_a_slip_loads_one_card(at: World) -> None:
    async with httpx.AsyncClient(base_url=at.hosts["acquirer"].desk_url, trust_env=False) as asks:
        slip = Slip(**(await asks.post("/sales", json={"amount": 10_000})).json())
    made = await at.opened(10_000, Scene.TERMINAL), await at.opened(10_000, Scene.TERMINAL)
    both = await asyncio.gather(*(at.funding.begin(one.id, Payer(slip=slip)) for one in made))
    states = sorted(one.collection.state for one in both)
    assert states == [State.CONFIRMED, State.FAILED]
    (lost,) = [one.collection for one in both if one.collection.state is State.FAILED]
    assert [order.refusal for order in await at.orders(lost)] == ["slip_used"]
    assert len(at.loads.confirmed_for) == 1 and len(at.loads.given_up_for) == 1
    again = await at.funding.begin(made[0].id, Payer(slip=slip))
    assert again.collection.state is both[0].collection.state


async def test_a_slip_that_was_being_recorded_in_a_crash_is_recorded_again(at: World) -> None:
    async with httpx.AsyncClient(base_url=at.hosts["acquirer"].desk_url, trust_env=False) as asks:
        slip = Slip(**(await asks.post("/sales", json={"amount": 10_000})).json())
    made = await at.opened(10_000, Scene.TERMINAL)
    async with at.db.transaction() as conn:  # and then the process was killed
        await at.funding._collecting._about_to_send(conn, made.id)
    await asyncio.gather(*(at.funding.begin(made.id, Payer(slip=slip)) for _ in range(3)))
    shown = await at.funding.begin(made.id, Payer(slip=slip))
    assert shown.collection.state is State.CONFIRMED
    assert at.loads.confirmed_for == [made.id] and not await at.cases()


NOTHING = Receipts(date(2026, 11, 22), ())


async def test_a_process_that_starts_goes_on_where_others_were(at: World) -> None:
    at.clock.advance(timedelta(days=20))
    at.says("bank", receipts=NOTHING)
    await at.funding.receive()
    at.funding = at.made(SequentialIds(99))
    await at.funding.refresh()
    for days, asked in ((0, 2), (1, 3), (0, 2), (3, 5)):
        at.clock.advance(timedelta(days=days))
        says = at.says("bank", receipts=NOTHING)
        await at.funding.receive()
        assert says.asked == ["receipts"] * asked, "the last day listed may have grown"
    at.says("bank", receipts=Unreachable("down"))
    at.clock.advance(timedelta(days=4))
    await at.funding.receive()
    says = at.says("bank", receipts=NOTHING)
    await at.funding.receive()
    assert says.asked == ["receipts"] * 6


async def test_what_came_in_an_outage_of_days_is_seen_afterwards(at: World) -> None:
    """The processes were down, or the bank was."""
    await desk(at, amount=1_00, words="房租")
    at.clock.advance(timedelta(days=3))
    assert await at.funding.receive() == 1
    at.clock.advance(timedelta(days=2))
    at.says("bank", receipts=Unreachable("down"))
    await desk(at, amount=2_00, words="房租")
    for _ in range(2):
        assert await at.funding.receive() == 0
        at.clock.advance(timedelta(days=2))
    at.says("bank")
    later = at.made(SequentialIds(99))  # started since: only the database remembers
    await later.refresh()
    for funding in (at.funding, later):
        await desk(at, amount=3_00, words="房租")
        assert await funding.receive() > 0
    assert [fen for fen, _ in await receipts(at)] == [1_00, 2_00, 3_00, 3_00]
