"""Terminals, cashiers, shifts and fees on a real database."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from kabao.base.clock import BusinessDays
from kabao.base.db import Conn, Database, fetch_value
from kabao.base.errors import NOT_FOUND, Code, KabaoError
from kabao.base.ids import RandomIds
from kabao.ledger.ops import Ledger
from kabao.ledger.sql_reading import ShiftSum
from kabao.merchants.model import (
    CASHIER_ELSEWHERE,
    CASHIER_NOT_ACTIVE,
    FEE_TERM_BEGUN,
    NUMBER_TAKEN,
    SHIFT_CLOSED,
    SHIFT_OPEN,
    TERMINAL_ELSEWHERE,
    TERMINAL_NOT_ACTIVE,
    TERMINAL_STATE,
    CashierRole,
    CashierState,
    Certification,
    FeePlan,
    NewFeePlan,
    Shift,
    TerminalState,
    ZReport,
)
from kabao.merchants.ops.shifts import Shifts
from kabao.org.model import STORE_CLOSED

from . import make

TODAY = make.START.date()
NOBODY = "f" * 32


@pytest.fixture
def house(db: Database, tmp_path: Path) -> make.House:
    return make.House(db, tmp_path)


@pytest.mark.row("P-23")
async def test_a_terminal_keeps_its_certification(house: make.House) -> None:
    certified = Certification("pci_pts", "4-40322", date(2030, 4, 30))
    async with house.db.transaction() as conn:
        store = await make.store(conn, house)
        terminal = await make.terminal(conn, house, store.id, certification=certified)
        plain = await make.terminal(conn, house, store.id)
    async with house.db.read() as conn:
        assert await house.merchants.get_terminal(conn, terminal.id) == terminal
        assert (await house.merchants.get_terminal(conn, terminal.id)).certification == certified
        assert (await house.merchants.get_terminal(conn, plain.id)).certification is None
        assert terminal.terminal_no != plain.terminal_no


async def test_the_snapshot_follows_every_change(house: make.House, tmp_path: Path) -> None:
    there = make.House(house.db, tmp_path)
    merchants = house.merchants
    async with house.db.transaction() as conn:
        store = await make.store(conn, house)
        terminal = await make.terminal(conn, house, store.id)
        cashier = await make.cashier(conn, house, store.id)
        shift = await merchants.shifts.begin(conn, cashier.id, terminal.id)
    assert await there.merchants.refresh()
    assert not await there.merchants.refresh()
    assert there.merchants.terminal(terminal.id) == terminal
    assert there.merchants.terminal_by_no(store.id, terminal.terminal_no) == terminal
    assert there.merchants.cashier(cashier.id) == cashier
    assert there.merchants.open_shift(cashier.id) == shift
    till = there.merchants.till(store.id, terminal.id, cashier.id)
    assert (till.terminal, till.cashier, till.shift) == (terminal, cashier, shift)
    async with house.db.transaction() as conn:
        await merchants.shifts.end(conn, shift.id)
        again = await merchants.shifts.begin(conn, cashier.id, terminal.id)
        await merchants.set_terminal_state(conn, terminal.id, TerminalState.BLOCKED)
    assert await there.merchants.refresh()
    assert there.merchants.open_shift(cashier.id) == again
    blocked = there.merchants.terminal(terminal.id)
    assert blocked is not None
    assert not blocked.is_active
    async with house.db.transaction() as conn:
        await merchants.shifts.end(conn, again.id)
    await there.merchants.refresh()
    assert there.merchants.open_shift(cashier.id) is None


async def test_a_fresh_process_sees_only_shifts_under_way(
    house: make.House, tmp_path: Path
) -> None:
    async with house.db.transaction() as conn:
        store = await make.store(conn, house)
        terminal = await make.terminal(conn, house, store.id)
        one = await make.cashier(conn, house, store.id, "01")
        two = await make.cashier(conn, house, store.id, "02")
        ended = await house.merchants.shifts.begin(conn, one.id, terminal.id)
        await house.merchants.shifts.end(conn, ended.id)
        running = await house.merchants.shifts.begin(conn, two.id, terminal.id)
    fresh = make.House(house.db, tmp_path).merchants
    await fresh.refresh()
    assert fresh.open_shift(one.id) is None
    assert fresh.open_shift(two.id) == running


async def test_a_till_is_only_what_may_be_used_there(house: make.House) -> None:
    merchants = house.merchants
    async with house.db.transaction() as conn:
        store = await make.store(conn, house)
        elsewhere = await make.store(conn, house, "别处")
        terminal = await make.terminal(conn, house, store.id)
        blocked = await make.terminal(conn, house, store.id)
        await merchants.set_terminal_state(conn, blocked.id, TerminalState.BLOCKED)
        cashier = await make.cashier(conn, house, store.id, "01")
        gone = await make.cashier(conn, house, store.id, "02")
        await merchants.dismiss_cashier(conn, gone.id)
    await merchants.refresh()

    def refused(store: str, terminal: str | None, cashier: str | None) -> tuple[Code, str | None]:
        with pytest.raises(KabaoError) as error:
            merchants.till(store, terminal, cashier)
        return error.value.code, error.value.field

    assert refused(store.id, NOBODY, None) == (NOT_FOUND, "terminal")
    assert refused(store.id, blocked.id, None) == (TERMINAL_NOT_ACTIVE, "terminal")
    assert refused(elsewhere.id, terminal.id, None) == (TERMINAL_ELSEWHERE, "terminal")
    assert refused(store.id, terminal.id, NOBODY) == (NOT_FOUND, "cashier")
    assert refused(store.id, terminal.id, gone.id) == (CASHIER_NOT_ACTIVE, "cashier")
    assert refused(elsewhere.id, None, cashier.id) == (CASHIER_ELSEWHERE, "cashier")
    assert merchants.till(store.id, None, None).terminal is None
    assert merchants.till(store.id, terminal.id, cashier.id).shift is None


async def test_what_another_process_has_just_set_up_is_found(
    house: make.House, tmp_path: Path
) -> None:
    there = make.House(house.db, tmp_path).merchants
    async with house.db.transaction() as conn:
        store = await make.store(conn, house)
        terminal = await make.terminal(conn, house, store.id)
        cashier = await make.cashier(conn, house, store.id)
    assert (await there.find_till(store.id, terminal.id, None)).terminal == terminal
    async with house.db.transaction() as conn:
        shift = await house.merchants.shifts.begin(conn, cashier.id, terminal.id)
    assert (await there.find_till(store.id, terminal.id, cashier.id)).shift == shift
    with pytest.raises(KabaoError) as refused:
        await there.find_till(store.id, NOBODY, None)
    assert refused.value.code is NOT_FOUND


async def test_a_retired_terminal_never_comes_back(house: make.House) -> None:
    merchants = house.merchants
    async with house.db.transaction() as conn:
        store = await make.store(conn, house)
        terminal = await make.terminal(conn, house, store.id)
        retired = await merchants.set_terminal_state(conn, terminal.id, TerminalState.RETIRED)
        again = await merchants.set_terminal_state(conn, terminal.id, TerminalState.RETIRED)
        assert again == retired
        for state in (TerminalState.ACTIVE, TerminalState.BLOCKED):
            with pytest.raises(KabaoError) as refused:
                await merchants.set_terminal_state(conn, terminal.id, state)
            assert refused.value.code is TERMINAL_STATE


async def test_numbers_are_not_given_twice_in_a_store(house: make.House) -> None:
    async with house.db.transaction() as conn:
        store = await make.store(conn, house)
        other = await make.store(conn, house, "别处")
        await make.terminal(conn, house, store.id, terminal_no="00000001")
        await make.terminal(conn, house, other.id, terminal_no="00000001")
        await make.cashier(conn, house, store.id, "01")
        await make.cashier(conn, house, other.id, "01")
        with pytest.raises(KabaoError) as refused:
            await make.terminal(conn, house, store.id, terminal_no="00000001")
        assert (refused.value.code, refused.value.field) == (NUMBER_TAKEN, "terminal_no")
        with pytest.raises(KabaoError) as refused:
            await make.cashier(conn, house, store.id, "01")
        assert (refused.value.code, refused.value.field) == (NUMBER_TAKEN, "code")


async def test_a_closed_store_gets_nothing_new(house: make.House) -> None:
    async with house.db.transaction() as conn:
        store = await make.store(conn, house)
        terminal = await make.terminal(conn, house, store.id)
        cashier = await make.cashier(conn, house, store.id)
        await house.org.close_store(conn, store.id)
        for act in (
            make.terminal(conn, house, store.id),
            make.cashier(conn, house, store.id, "02"),
            house.merchants.shifts.begin(conn, cashier.id, terminal.id),
        ):
            with pytest.raises(KabaoError) as refused:
                await act
            assert refused.value.code is STORE_CLOSED


async def test_a_cashiers_name_is_sealed_in_the_database(house: make.House) -> None:
    async with house.db.transaction() as conn:
        store = await make.store(conn, house)
        cashier = await make.cashier(conn, house, store.id, name="欧阳娜娜")
    async with house.db.read() as conn:
        sealed = await fetch_value(conn, "select name from merchants.cashier")
        assert "欧阳".encode() not in bytes(sealed)
        assert await house.merchants.names(conn, [cashier]) == {cashier.id: "欧阳娜娜"}


async def test_a_cashier_becomes_supervisor_and_leaves(house: make.House) -> None:
    merchants = house.merchants
    async with house.db.transaction() as conn:
        store = await make.store(conn, house)
        terminal = await make.terminal(conn, house, store.id)
        cashier = await make.cashier(conn, house, store.id)
        lead = await merchants.set_cashier_role(conn, cashier.id, CashierRole.SUPERVISOR)
        assert lead.role is CashierRole.SUPERVISOR
        shift = await merchants.shifts.begin(conn, cashier.id, terminal.id)
        gone = await merchants.dismiss_cashier(conn, cashier.id)
        assert gone.state is CashierState.LEFT
        assert not (await merchants.shifts.get(conn, shift.id)).is_open
        with pytest.raises(KabaoError) as refused:
            await merchants.set_cashier_role(conn, cashier.id, CashierRole.CASHIER)
        assert refused.value.code is CASHIER_NOT_ACTIVE


async def test_a_shift_is_one_cashier_at_a_terminal_of_the_store(house: make.House) -> None:
    merchants = house.merchants
    async with house.db.transaction() as conn:
        store = await make.store(conn, house)
        other = await make.store(conn, house, "别处")
        terminal = await make.terminal(conn, house, store.id)
        far = await make.terminal(conn, house, other.id)
        blocked = await make.terminal(conn, house, store.id)
        await merchants.set_terminal_state(conn, blocked.id, TerminalState.BLOCKED)
        cashier = await make.cashier(conn, house, store.id)

        async def refused(cashier: str, terminal: str) -> Code:
            with pytest.raises(KabaoError) as error:
                await merchants.shifts.begin(conn, cashier, terminal)
            return error.value.code

        assert await refused(cashier.id, far.id) is TERMINAL_ELSEWHERE
        assert await refused(cashier.id, blocked.id) is TERMINAL_NOT_ACTIVE
        assert await refused(NOBODY, terminal.id) is NOT_FOUND
        assert await refused(cashier.id, NOBODY) is NOT_FOUND
        shift = await merchants.shifts.begin(conn, cashier.id, terminal.id)
        assert (shift.store, shift.is_open) == (store.id, True)
        assert await refused(cashier.id, terminal.id) is SHIFT_OPEN
        house.clock.advance(timedelta(hours=8))
        closed, _ = await merchants.shifts.end(conn, shift.id)
        assert closed.closed_at == make.START + timedelta(hours=8)
        with pytest.raises(KabaoError) as error:
            await merchants.shifts.end(conn, shift.id)
        assert error.value.code is SHIFT_CLOSED


async def test_a_clock_stepped_back_keeps_no_shift_open(house: make.House) -> None:
    async with house.db.transaction() as conn:
        store = await make.store(conn, house)
        terminal = await make.terminal(conn, house, store.id)
        cashier = await make.cashier(conn, house, store.id)
        shift = await house.merchants.shifts.begin(conn, cashier.id, terminal.id)
        house.clock.advance(timedelta(hours=-1))
        closed, _ = await house.merchants.shifts.end(conn, shift.id)
    assert closed.closed_at == shift.opened_at


async def test_two_tills_cannot_open_a_shift_for_one_cashier(house: make.House) -> None:
    async with house.db.transaction() as conn:
        store = await make.store(conn, house)
        terminals = [await make.terminal(conn, house, store.id) for _ in range(6)]
        cashier = await make.cashier(conn, house, store.id)

    async def begin(terminal: str) -> Shift | Code:
        try:
            async with house.db.transaction() as conn:
                return await house.merchants.shifts.begin(conn, cashier.id, terminal)
        except KabaoError as refused:
            return refused.code

    outcomes = await asyncio.gather(*(begin(terminal.id) for terminal in terminals))
    assert sum(isinstance(outcome, Shift) for outcome in outcomes) == 1
    assert outcomes.count(SHIFT_OPEN) == 5


class Held(Ledger):
    """A ledger with so much in one shift that counting it takes until it is let go."""

    def __init__(self, house: make.House, shift: str) -> None:
        super().__init__(house.db, house.clock, BusinessDays())
        self.shift = shift
        self.counting, self.go_on = asyncio.Event(), asyncio.Event()

    async def shift_sums(self, conn: Conn, shift: str, opened_at: datetime) -> list[ShiftSum]:
        if shift == self.shift:
            self.counting.set()
            await self.go_on.wait()
        return await super().shift_sums(conn, shift, opened_at)


async def under_way(house: make.House, terminal: str | None = None, code: str = "01") -> Shift:
    """A shift in a store of its own, or at a terminal that is there."""
    async with house.db.transaction() as conn:
        if terminal is None:
            terminal = (await make.terminal(conn, house, (await make.store(conn, house)).id)).id
        at = await house.merchants.get_terminal(conn, terminal)
        cashier = await make.cashier(conn, house, at.store, code)
        return await house.merchants.shifts.begin(conn, cashier.id, terminal)


async def test_two_stores_close_at_once(house: make.House) -> None:
    long, short = await under_way(house), await under_way(house)
    ledger = Held(house, long.id)
    shifts = Shifts(
        ledger, house.org, house.merchants.shifts.drawers, RandomIds(house.clock), house.clock
    )

    async def end(shift: Shift) -> ZReport:
        async with house.db.transaction() as conn:
            return (await shifts.end(conn, shift.id))[1]

    waiting = asyncio.create_task(end(long))
    async with asyncio.timeout(5):
        await ledger.counting.wait()
        assert (await end(short)).number == 1, "while the other store is being counted"
        assert await under_way(house), "a third one opens meanwhile"
    assert not waiting.done()
    ledger.go_on.set()
    assert (await waiting).number == 1


async def test_a_terminals_shifts_are_numbered_without_gaps_when_they_end_at_once(
    house: make.House,
) -> None:
    first = await under_way(house)
    more = [await under_way(house, first.terminal, f"{n:02}") for n in range(2, 6)]

    async def end(shift: Shift) -> int | Code:
        try:
            async with house.db.transaction() as conn:
                return (await house.merchants.shifts.end(conn, shift.id))[1].number
        except KabaoError as refused:
            return refused.code

    outcomes = await asyncio.gather(*(end(shift) for shift in [first, *more] * 2))
    assert sorted(n for n in outcomes if isinstance(n, int)) == [1, 2, 3, 4, 5]
    assert outcomes.count(SHIFT_CLOSED) == 5


async def test_a_cashier_leaves_while_a_shift_begins_or_ends(house: make.House) -> None:
    merchants = house.merchants

    async def leave(cashier: str) -> None:
        async with house.db.transaction() as conn:
            await merchants.dismiss_cashier(conn, cashier)

    async def change(verb: Callable[[Conn, str], Awaitable[object]], what: str) -> None:
        with contextlib.suppress(KabaoError):
            async with house.db.transaction() as conn:
                await verb(conn, what)

    async def role(conn: Conn, cashier: str) -> None:
        await merchants.set_cashier_role(conn, cashier, CashierRole.SUPERVISOR)

    for _ in range(5):
        shift = await under_way(house)

        async def begin(conn: Conn, cashier: str, at: str = shift.terminal) -> None:
            await merchants.shifts.begin(conn, cashier, at)

        await asyncio.gather(
            change(merchants.shifts.end, shift.id),
            change(begin, shift.cashier),
            leave(shift.cashier),
            change(begin, shift.cashier),
            change(role, shift.cashier),
        )
        async with house.db.read() as conn:
            open_now = await merchants.shifts.list_all(
                conn, stores=None, after=None, limit=9, cashier=shift.cashier, only_open=True
            )
        assert open_now == []


async def plan(house: make.House, store_company: str, **said: int) -> FeePlan:
    async with house.db.transaction() as conn:
        return await house.merchants.fees.add_plan(
            conn, NewFeePlan(company=store_company, name="plan", **said)
        )


async def test_the_plan_of_a_day_holds_whenever_it_is_asked(house: make.House) -> None:
    merchants = house.merchants
    async with house.db.transaction() as conn:
        store = await make.store(conn, house)
    first = await plan(house, store.company, rate_bp=60)
    second = await plan(house, store.company, rate_bp=30, max_fen=100)
    start, later, end = (TODAY + timedelta(days=n) for n in (1, 10, 20))
    async with house.db.transaction() as conn:
        await merchants.fees.put_term(conn, store.id, first.id, start)
        await merchants.fees.put_term(conn, store.id, second.id, later)
        await merchants.fees.put_term(conn, store.id, None, end)
    await merchants.refresh()
    assert merchants.fee_plan(store.id) is None
    assert merchants.fee_plan(store.id, start) == first
    house.clock.advance(timedelta(days=30))
    assert merchants.fee_plan(store.id) is None
    assert merchants.fee_plan(store.id, later - timedelta(days=1)) == first
    assert merchants.fee_plan(store.id, later) == second
    assert merchants.fee_plan(store.id, end - timedelta(days=1)) == second
    async with house.db.read() as conn:
        terms = await merchants.fees.terms(conn, store.id, after=start, limit=9)
    assert [term.plan for term in terms] == [second.id, None]


async def test_only_the_future_of_fees_can_be_changed(house: make.House) -> None:
    fees = house.merchants.fees
    async with house.db.transaction() as conn:
        store = await make.store(conn, house)
    agreed = await plan(house, store.company)
    tomorrow = TODAY + timedelta(days=1)
    async with house.db.transaction() as conn:
        for day in (TODAY - timedelta(days=1), TODAY):
            with pytest.raises(KabaoError) as refused:
                await fees.put_term(conn, store.id, agreed.id, day)
            assert refused.value.code is FEE_TERM_BEGUN
        await fees.put_term(conn, store.id, agreed.id, tomorrow)
        replaced = await fees.put_term(conn, store.id, None, tomorrow)
        assert replaced.plan is None
        for act in (
            fees.put_term(conn, NOBODY, agreed.id, tomorrow),
            fees.put_term(conn, store.id, NOBODY, tomorrow),
            fees.add_plan(conn, NewFeePlan(company=NOBODY, name="x")),
        ):
            with pytest.raises(KabaoError) as refused:
                await act
            assert refused.value.code is NOT_FOUND
    await house.merchants.refresh()
    assert house.merchants.fee_plan(store.id, tomorrow) is None


async def test_an_unreachable_database_does_not_undo_a_commit(tmp_path: Path) -> None:
    gone = Database("postgresql://nobody@127.0.0.1:1/none", max_size=1)
    await make.House(gone, tmp_path).merchants.catch_up()
