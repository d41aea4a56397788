"""Merge, cash-out, close; races; and value conserved over random lives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kabao.base.db import Database
from kabao.base.errors import KabaoError, Kind
from kabao.cards.model import CardClass, Carrier, Issued
from kabao.cards.ops.value import Merged
from kabao.cards.states import CardState, Reason
from kabao.ledger.model import Account, RootState

from . import lives, make
from .lives import Living, bearer, holder, load, loaded, pay, refused, registered, shown
from .test_states import ROOT_OF


@pytest.fixture
async def world(db: Database, tmp_path: Path) -> AsyncIterator[Living]:
    async with lives.living(db, tmp_path) as made:
        yield made


async def merge(world: Living, a: Issued, b: Issued) -> Merged:
    return await world.do(
        lambda c: world.life.merge(c, a.card.id, b.card.id, shown(a.secrets), world.by)
    )


async def house(world: Living, account: Account, owner: str) -> int:
    """What a house account has been credited, less what it was debited."""
    async with world.db.read() as conn:
        sums = await world.ledger.house_balance(conn, account, owner, "CNY")
    return sums.credit_fen - sums.debit_fen


# --- merge ------------------------------------------------------------------------------


async def test_a_merge_moves_value_kind_by_kind_and_closes_the_source(world: Living) -> None:
    of = await make.programme(world)
    a, b = await bearer(world, of), await bearer(world, of)
    await loaded(world, a, 5_000, 500)
    await loaded(world, b, 1_000)
    merged = await merge(world, a, b)
    assert (merged.principal_fen, merged.bonus_fen) == (5_000, 500)
    left, right = await world.root(a), await world.root(b)
    assert (left.balance_fen, left.state) == (0, RootState.CLOSED)
    assert (right.principal_fen, right.bonus_fen) == (6_000, 500)
    assert await house(world, Account.TRANSIT, world.issuer.id) == 0
    async with world.db.read() as conn:
        (line,) = await world.life.history(conn, b.card.id, before=None, limit=5)
    assert (line.verb, line.other_card, line.amount_fen) == ("merge_in", a.card.id, 5_500)


async def test_every_load_goes_on_with_its_contract_and_price_pro_rata(world: Living) -> None:
    of = await make.programme(world)
    a, b = await bearer(world, of), await bearer(world, of)
    await world.ledger.post(load(world, a.card.root, 1_000, 200, price_fen=900))
    await world.ledger.post(load(world, a.card.root, 3_000, price_fen=3_000))
    await world.ledger.post(pay(world, a, 400))
    await merge(world, a, b)
    async with world.db.read() as conn:
        left = (await world.ledger.lots(conn, b.card.root, "fifo")).left
        gone = (await world.ledger.lots(conn, a.card.root, "fifo")).left
    assert [(x.principal_fen, x.bonus_fen, x.lot.lot.price_fen) for x in left] == [
        (600, 200, 540),
        (3_000, 0, 3_000),
    ]
    assert {x.lot.lot.selling_store for x in left} == {world.store.id}
    assert [(x.principal_fen, x.bonus_fen) for x in gone] == [(0, 0), (0, 0)]


@pytest.mark.row("CR-12")
@pytest.mark.parametrize(("on_target", "fits"), [(59_999, True), (60_000, True), (60_001, False)])
async def test_a_merge_respects_the_limit(world: Living, on_target: int, fits: bool) -> None:
    of = await make.programme(world)
    a, b = await bearer(world, of), await bearer(world, of)
    await loaded(world, a, 30_000, 10_000)
    await loaded(world, b, on_target)
    if fits:
        await merge(world, a, b)
        return
    async with refused("over_balance_limit", "CR-12"):
        await merge(world, a, b)
    assert (await world.root(a)).balance_fen == 40_000


async def test_what_cannot_be_merged(world: Living) -> None:
    of = await make.programme(world)
    a, b = await bearer(world, of), await bearer(world, of)
    other, _ = await registered(world)
    async with refused("invalid"):
        await merge(world, a, a)
    async with refused("cards_differ"):
        await merge(world, a, other)
    await loaded(world, a, 1_000)
    await lives.held(world, a, 100)
    async with refused("card_has_holds"):
        await merge(world, a, b)
    await world.do(lambda c: world.life.freeze(c, b.card.id, Reason.RISK, None, world.by))
    async with refused("card_state_forbids"):
        await merge(world, b, a)


async def test_two_persons_cards_are_not_merged(world: Living) -> None:
    of = await make.programme(world, CardClass.REGISTERED)
    a, person = await registered(world, of, 1)
    b, _ = await registered(world, of, 2)
    own = await make.card(world, of, Carrier.ELECTRONIC, person)
    await loaded(world, a, 1_000)
    async with refused("not_the_holder", "CR-27"):
        await world.do(
            lambda c: world.life.merge(c, a.card.id, b.card.id, holder(person), world.by)
        )
    await world.do(lambda c: world.life.merge(c, a.card.id, own.card.id, holder(person), world.by))
    assert (await world.root(own)).principal_fen == 1_000


async def test_of_twenty_merges_at_once_one_happens(world: Living) -> None:
    of = await make.programme(world)
    source = await bearer(world, of)
    targets = [await bearer(world, of) for _ in range(20)]
    await loaded(world, source, 10_000)

    async def attempt(target: Issued) -> bool:
        try:
            await merge(world, source, target)
        except KabaoError:
            return False
        return True

    assert sum(await asyncio.gather(*map(attempt, targets))) == 1
    total = sum([(await world.root(target)).principal_fen for target in targets])
    assert total == 10_000
    assert await house(world, Account.TRANSIT, world.issuer.id) == 0


async def test_two_cards_merged_into_each_other_at_once(world: Living) -> None:
    """Locks are taken in one order, so nobody waits in a circle."""
    of = await make.programme(world)
    for _ in range(5):
        a, b = await bearer(world, of), await bearer(world, of)
        await loaded(world, a, 700)
        await loaded(world, b, 300)
        done = await asyncio.gather(merge(world, a, b), merge(world, b, a), return_exceptions=True)
        assert sum(isinstance(one, Merged) for one in done) == 1
        assert (await world.root(a)).balance_fen + (await world.root(b)).balance_fen == 1_000


async def test_a_card_of_more_loads_than_one_posting_takes(
    world: Living, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kabao.cards.ops.value.ACTS_AT_ONCE", 3)
    of = await make.programme(world)
    a, b = await bearer(world, of), await bearer(world, of)
    for _ in range(8):
        await loaded(world, a, 100, 10)
    await merge(world, a, b)
    right = await world.root(b)
    assert (right.principal_fen, right.bonus_fen) == (800, 80)
    async with world.db.read() as conn:
        assert len((await world.ledger.lots(conn, b.card.root, "fifo")).left) == 8


# --- cash-out -----------------------------------------------------------------------------


async def cash_out(
    world: Living, card: Issued, payee: str, amount: int | None = None, *, close: bool = False
) -> int:
    paid = await world.do(
        lambda c: world.life.cash_out(
            c, card.card.id, shown(card.secrets), payee, amount, world.counter, close=close
        )
    )
    return paid.amount_fen


@pytest.mark.row("L-15", "CR-21")
@pytest.mark.parametrize(("balance", "paid"), [(9_999, True), (10_000, True), (10_001, False)])
async def test_only_a_small_remainder_is_paid_in_cash(
    world: Living, balance: int, paid: bool
) -> None:
    card, person = await bearer(world), await make.holder(world, identified=True)
    await loaded(world, card, balance, 700)
    till = await house(world, Account.CASH, world.store.id)
    if not paid:
        async with refused("cash_out_over_limit", "CR-21"):
            await cash_out(world, card, person.id)
        return
    assert await cash_out(world, card, person.id) == balance
    root = await world.root(card)
    assert (root.principal_fen, root.bonus_fen) == (0, 700), "bonus is never paid out"
    assert await house(world, Account.CASH, world.store.id) == till + balance
    async with refused("nothing_to_pay_out"):
        await cash_out(world, card, person.id)


async def test_a_part_is_paid_or_the_card_swept_and_closed(world: Living) -> None:
    card, person = await bearer(world), await make.holder(world, identified=True)
    await loaded(world, card, 500, 60)
    assert await cash_out(world, card, person.id, 200) == 200
    async with refused("nothing_to_pay_out"):
        await cash_out(world, card, person.id, 301)
    assert await cash_out(world, card, person.id, close=True) == 300
    root = await world.root(card)
    assert (root.balance_fen, root.state) == (0, RootState.CLOSED)
    assert await house(world, Account.LAPSED, world.issuer.id) == 60
    async with refused("card_state_forbids"):
        await cash_out(world, card, person.id)


async def test_cash_is_paid_at_a_counter_to_a_known_person_only(world: Living) -> None:
    card, stranger = await bearer(world), await make.holder(world, identified=False)
    person = await make.holder(world, identified=True, n=3)
    await loaded(world, card, 500)
    async with refused("holder_not_identified", "CR-21"):
        await cash_out(world, card, stranger.id)
    async with refused("counter_only"):
        await world.do(
            lambda c: world.life.cash_out(
                c, card.card.id, shown(card.secrets), person.id, None, world.by
            )
        )
    own, owner = await registered(world, n=4)
    await loaded(world, own, 500)
    async with refused("not_the_holder"):
        await world.do(
            lambda c: world.life.cash_out(
                c, own.card.id, holder(owner), person.id, None, world.counter
            )
        )


async def test_of_many_cash_outs_at_once_one_happens(world: Living) -> None:
    card, person = await bearer(world), await make.holder(world, identified=True)
    await loaded(world, card, 900)
    done = await asyncio.gather(
        *(cash_out(world, card, person.id) for _ in range(10)), return_exceptions=True
    )
    assert [one for one in done if isinstance(one, int)] == [900]
    assert (await world.root(card)).balance_fen == 0


# --- close ----------------------------------------------------------------------------------


async def test_a_card_is_closed_only_when_its_paid_value_is_gone(world: Living) -> None:
    card = await bearer(world)
    await loaded(world, card, 100, 50)

    async def close(*, lapse: bool = False) -> None:
        await world.do(
            lambda c: world.life.close(
                c, card.card.id, shown(card.secrets), None, world.by, lapse_bonus=lapse
            )
        )

    async with refused("card_not_empty"):
        await close(lapse=True)
    await world.ledger.post(pay(world, card, 100))
    async with refused("card_not_empty"):
        await close()
    await close(lapse=True)
    assert await world.state(card) == "closed"
    async with refused("claim_too_weak"):
        other = await bearer(world)
        await world.do(lambda c: world.life.close(c, other.card.id, None, None, world.by))


# --- random lives -----------------------------------------------------------------------------

VERBS = (
    "load", "pay", "freeze", "unfreeze", "lose", "find", "replace", "merge", "cash", "close"
)  # fmt: skip
PROGRAMS = st.lists(
    st.tuples(
        st.sampled_from(VERBS),
        st.integers(0, 2),
        st.integers(0, 2),
        st.integers(1, 9_000),
        st.integers(0, 900),
    ),
    max_size=16,
)


class Story:
    """Three cards, what is done to them, and what went in and out."""

    def __init__(self, world: Living, cards: list[Issued], person: str) -> None:
        self.world, self.cards, self.person = world, cards, person
        self.roots = [card.card.root for card in cards]
        self.loaded = self.given = self.spent = self.cashed = 0

    async def step(self, verb: str, at: int, to: int, amount: int, bonus: int) -> None:
        world, life, card = self.world, self.world.life, self.cards[at]
        ident, claim, by = card.card.id, shown(card.secrets), self.world.by
        match verb:
            case "load":
                await world.ledger.post(load(world, card.card.root, amount, bonus))
                self.loaded, self.given = self.loaded + amount, self.given + bonus
            case "pay":
                version = (await world.root(card)).secret_version
                answer = await world.ledger.post(pay(world, card, amount, version))
                self.spent += amount if answer["paid"] else 0
            case "freeze":
                await world.do(lambda c: life.freeze(c, ident, Reason.RISK, None, by))
            case "unfreeze":
                await world.do(lambda c: life.unfreeze(c, ident, Reason.RISK_CLEARED, None, by))
            case "lose":
                await world.do(lambda c: life.report_loss(c, ident, claim, None, by))
            case "find":
                await world.do(lambda c: life.withdraw_loss(c, ident, claim, by))
            case "replace":
                self.cards[at] = await world.do(
                    lambda c: life.replace(c, ident, claim, Carrier.ELECTRONIC, None, by)
                )
            case "merge":
                await merge(world, card, self.cards[to])
            case "cash":
                part = amount if bonus % 2 else None
                self.cashed += await cash_out(world, card, self.person, part, close=bonus > 800)
            case "close":
                await world.do(
                    lambda c: life.close(c, ident, claim, None, by, lapse_bonus=bonus > 400)
                )

    async def check(self, lapsed_before: int) -> None:
        """Every fen is on a card, spent, paid out or lapsed; every fen has its load."""
        world, principal, bonus = self.world, 0, 0
        for root, card in zip(self.roots, self.cards, strict=True):
            found = await world.root(card)
            assert (found.id, found.card) == (root, card.card.id)
            async with world.db.read() as conn:
                left = (await world.ledger.lots(conn, root, "fifo")).left
            assert sum(x.principal_fen for x in left) == found.principal_fen
            assert sum(x.bonus_fen for x in left) == found.bonus_fen
            state = CardState(await world.state(card))
            assert ROOT_OF[state] == found.state
            principal, bonus = principal + found.principal_fen, bonus + found.bonus_fen
        assert principal == self.loaded - self.spent - self.cashed
        lapsed = await house(world, Account.LAPSED, world.issuer.id) - lapsed_before
        assert bonus == self.given - lapsed
        assert await house(world, Account.TRANSIT, world.issuer.id) == 0


@pytest.fixture
async def person(world: Living) -> str:
    return (await make.holder(world, identified=True)).id


@settings(suppress_health_check=list(HealthCheck), max_examples=settings.default.max_examples // 3)
@given(program=PROGRAMS)
async def test_no_life_makes_or_loses_a_fen(
    world: Living, person: str, program: list[tuple[str, int, int, int, int]]
) -> None:
    of = await make.programme(world)
    story = Story(world, [await bearer(world, of) for _ in range(3)], person)
    lapsed = await house(world, Account.LAPSED, world.issuer.id)
    noes = set()
    for one in program:
        try:
            await story.step(*one)
        except KabaoError as no:
            noes.add(no.code.kind)
    assert noes <= {Kind.REFUSED, Kind.CONFLICT, Kind.INVALID}
    await story.check(lapsed)
