"""What the ledger tells: roots, transfers, balances, flows. Nothing here moves money."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta

from kabao.base.clock import BusinessDays, Clock, to_us
from kabao.base.db import Conn
from kabao.ledger import house, sql, sql_days, sql_flows, sql_house, sql_reading, sql_steps
from kabao.ledger.lots import Derived, Order, derive
from kabao.ledger.model import (
    Account,
    Balances,
    Cut,
    Flow,
    FlowFilter,
    Hold,
    HouseBalance,
    HouseTransfer,
    PaymentStep,
    Purpose,
    Redemption,
    Root,
    Transfer,
)
from kabao.ledger.passages import Passage, pair_of, passages
from kabao.ledger.sql_reading import ClosedDay, DoneBy, ShiftCash, ShiftSum

CLOCK_SKEW = timedelta(minutes=1)
"""How far the clocks of two machines may differ."""

_OF_STORES = (Account.CASH, Account.REDEEMED)

HISTORY_PAGE = 5_000
"""How many transfers a derivation reads at a time."""


class Reading:
    """The reading half of `Ledger`."""

    def __init__(self, clock: Clock, days: BusinessDays) -> None:
        self._clock, self._days = clock, days

    async def root(self, conn: Conn, root_id: str) -> Root | None:
        """A root as it is now, unlocked."""
        return await sql.root(conn, root_id)

    async def holds(self, conn: Conn, ids: Sequence[str]) -> dict[str, Hold]:
        """Holds by id."""
        return await sql.holds(conn, ids)

    async def expired_holds(self, conn: Conn, limit: int) -> list[Hold]:
        """Open holds whose time is over, for the job that releases them."""
        return await sql.expired_holds(conn, self._clock.now_us(), limit)

    async def transfers(
        self, conn: Conn, root_id: str, *, before_seq: int | None = None, limit: int = 50
    ) -> list[Transfer]:
        """A root's transfers, newest first."""
        return await sql.transfers(conn, root_id, before_seq, limit)

    async def balance_at(self, conn: Conn, root_id: str, at_us: int) -> Balances:
        """A root's balances at a past moment."""
        return await sql.balance_at(conn, root_id, at_us)

    async def house_transfers(
        self, conn: Conn, account: Account, owner: str, day: date, limit: int = 200
    ) -> list[Transfer]:
        """What moved on a house account on a business day."""
        return await sql.house_transfers(conn, account, owner, day, limit)

    async def house_balance(
        self, conn: Conn, account: Account, owner: str, currency: str, at_us: int | None = None
    ) -> HouseBalance:
        """A house account's sums, now or at a past moment."""
        return await sql.house_balance(conn, account, owner, currency, at_us)

    async def house_moved(self, conn: Conn, company: str, key: str) -> list[HouseTransfer]:
        """What the operation of `move_in` with this key moved, in order; nothing if none was."""
        return await house.moved(conn, company, key)

    async def house_account(
        self,
        conn: Conn,
        account: Account,
        owner: str,
        day: date,
        *,
        after: int = 0,
        limit: int = 50,
    ) -> list[HouseTransfer]:
        """What moved between a house account and others on a business day, from behind a
        number on.
        """
        return await sql_house.of_account(conn, account, owner, day, after, limit)

    async def lots(self, conn: Conn, root_id: str, order: Order) -> Derived:
        """Which load each fen of a root came from, and what is left of each."""
        history: list[Transfer] = []
        while page := await sql.transfers_ascending(
            conn, root_id, history[-1].seq if history else 0, HISTORY_PAGE
        ):
            history += page
        return derive(await sql.lots(conn, root_id), history, order)

    async def passages(self, conn: Conn, root_id: str, derived: Derived, lot: int) -> list[Passage]:
        """Where value of a lot of a root went that was moved to other cards.

        `derived`: of this root. `lot`: its seq.
        """
        seqs = {piece.transfer for piece in derived.spent if piece.lot == lot}
        outs = await sql_reading.into_transit(conn, root_id)
        pairs = {pair_of(out) for out in outs if out.seq in seqs}
        of_pairs = [out for out in outs if pair_of(out) in pairs]
        arrivals = await sql_reading.out_of_transit(conn, of_pairs)
        return [one for one in passages(derived.spent, of_pairs, arrivals) if one.lot == lot]

    async def sub_accounts(
        self, conn: Conn, root_id: str, at_us: int | None = None
    ) -> dict[Account, tuple[int, int]]:
        """What a root's sub-accounts were debited and credited, ever or up to a moment."""
        sums = await sql_reading.sub_accounts(conn, root_id, at_us)
        return {account: sums.get(account, (0, 0)) for account in Account if account < Account.CASH}

    async def house_page(
        self,
        conn: Conn,
        account: Account,
        owner: str,
        day: date,
        *,
        after: tuple[int, str, int] | None = None,
        limit: int = 50,
    ) -> list[Transfer]:
        """What moved on a house account on a business day, from (recorded_us, root, seq) on."""
        return await sql_reading.house_page(conn, account, owner, day, after, limit)

    async def shift_sums(self, conn: Conn, shift: str, opened_at: datetime) -> list[ShiftSum]:
        """What a shift has brought its store, by purpose: in cash, and paid with cards."""
        since = opened_at - CLOCK_SKEW
        return await sql_reading.shift_sums(
            conn, shift, _OF_STORES, since, self._days.of(to_us(since))
        )

    async def shift_cash(
        self, conn: Conn, shifts: Collection[str], currency: str, opened_at: datetime
    ) -> list[ShiftCash]:
        """What shifts, the first opened then, have taken in cash for cards: by issuer."""
        since = opened_at - CLOCK_SKEW
        day = self._days.of(to_us(since))
        return await sql_reading.shift_cash(conn, shifts, currency, since, day)

    async def about(
        self, conn: Conn, roots: Collection[str], operations: Collection[str], since: date
    ) -> list[Transfer]:
        """What was moved on roots by operations, and by what completed or undid those,
        from a business day on; each root's in its order.
        """
        return await sql_reading.about(conn, roots, operations, since)

    async def done_by(
        self, conn: Conn, roots: Collection[str], purposes: Collection[Purpose], from_day: date
    ) -> list[DoneBy]:
        """What cashiers credited to these roots for these purposes, from a business day on."""
        return await sql_reading.done_by(conn, roots, purposes, from_day)

    async def carriers(self, conn: Conn, roots: Collection[str]) -> dict[str, str]:
        """The card that carries each root now."""
        return await sql_reading.carriers(conn, roots)

    async def issuers(self, conn: Conn, roots: Collection[str]) -> dict[str, str]:
        """The company that owes what is on each root."""
        return await sql_reading.issuers(conn, roots)

    async def programmes(self, conn: Conn, roots: Collection[str]) -> dict[str, str]:
        """The programme each root is of."""
        return await sql_reading.programmes(conn, roots)

    async def closed_days(
        self, conn: Conn, *, before: date | None = None, limit: int = 50
    ) -> list[ClosedDay]:
        """Closed business days, newest first."""
        return await sql_reading.closed_days(conn, before, limit)

    async def begun_on(self, conn: Conn) -> date | None:
        """The first business day of the books; None: nothing was ever posted."""
        return await sql_days.first_day(conn)

    # Windows: what happened between two cuts

    async def flows(self, conn: Conn, after: Cut | None, upto: Cut) -> list[Flow]:
        """What moved on house accounts between two cuts, of both journals: a sum for each
        way it went. One scan: a window of a day takes seconds.
        """
        return await sql_flows.flows(conn, after, upto)

    async def redemptions(self, conn: Conn, after: Cut | None, upto: Cut) -> list[Redemption]:
        """How often cards paid, and were given back, each amount at each store between two
        cuts: whole operations, so that a fee per item is reckoned once per amount.
        """
        return await sql_flows.redemptions(conn, after, upto)

    async def payment_steps(self, conn: Conn, after: Cut | None, upto: Cut) -> list[PaymentStep]:
        """How payments changed between two cuts, from which amount to which: so a fee is
        that of what is left of a payment, whatever parts it came and went in.
        """
        return await sql_steps.steps(conn, after, upto)

    async def flow_page(
        self,
        conn: Conn,
        after: Cut | None,
        upto: Cut,
        wanted: FlowFilter,
        *,
        start: tuple[int, str, int] | None = None,
        limit: int = 50,
    ) -> list[Transfer]:
        """The transfers of cards behind a figure of `flows`, in the order of (recorded_us,
        root, seq), from behind such a place on.
        """
        return await sql_flows.page(conn, after, upto, wanted, start, limit)

    async def house_flow_page(
        self,
        conn: Conn,
        after: Cut | None,
        upto: Cut,
        wanted: FlowFilter,
        *,
        start: int = 0,
        limit: int = 50,
    ) -> list[HouseTransfer]:
        """The transfers between house accounts behind a figure of `flows`, from behind a
        number on.
        """
        return await sql_flows.house_page(conn, after, upto, wanted, start, limit)
