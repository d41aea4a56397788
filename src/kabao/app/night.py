"""What slices below clearing need of it: the workday calendar, and what reports show of the
night.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from msgspec.structs import replace

from kabao.base.db import Conn
from kabao.base.ids import from_edge
from kabao.clearing.model.settlement import Settlement
from kabao.clearing.ops import Clearing
from kabao.clearing.ops.reading import Wanted
from kabao.clearing.ops.terms import TermsBook
from kabao.funding.model.channels import CHANNEL
from kabao.funding.ops import Funding
from kabao.reconciliation.ops import Reconciliation
from kabao.reports.model.night import OpenItem, Position

MAX_POSITIONS = 200


class Calendar:
    """`disputes.ports.Workdays`: the official calendar, and what two persons said of it."""

    def __init__(self, terms: TermsBook) -> None:
        self._terms = terms

    async def after(self, conn: Conn, day: date, workdays: int) -> date:
        """The n-th workday after a day. Raises `calendar_unknown`."""
        return (await self._terms.workdays(conn)).after(day, workdays)


class NightBook:
    """`reports.ports.Night` over clearing and reconciliation."""

    def __init__(
        self, clearing: Clearing, reconciliation: Reconciliation, funding: Funding
    ) -> None:
        self._clearing, self._reconciliation, self._funding = clearing, reconciliation, funding

    async def open_items(self, conn: Conn, day: date, issuer: str | None) -> Sequence[OpenItem]:
        """What was open after a day and still is."""
        found = await self._reconciliation.open_until(conn, day, issuer)
        payouts = await self._reconciliation.short_until(conn, day, issuer)
        return [
            OpenItem(
                source=self._name(one.source, one.subject),
                kind=f"{one.cls}, {one.state}",
                count=one.count,
                amount_fen=one.amount_fen,
                oldest=one.oldest,
            )
            for one in found
        ] + [
            OpenItem(
                source=self._name(one.source, one.subject),
                kind="payout, other than expected",
                count=one.count,
                amount_fen=one.amount_fen,
                oldest=one.oldest,
            )
            for one in payouts
        ]

    def _name(self, source: str, subject: str) -> str:
        """A channel as it is called; whatever else is compared, by its id."""
        if not subject.startswith(f"{CHANNEL}_"):
            return f"{source} {subject}"
        channel = self._funding.channels.get(from_edge(CHANNEL, subject))
        return subject if channel is None else channel.name

    async def positions(self, conn: Conn, day: date, issuer: str | None) -> Sequence[Position]:
        """Who owes whom after the netting windows that ended on a day."""
        wanted = Wanted(day=day, issuer=issuer, limit=MAX_POSITIONS)
        found: list[Settlement] = []
        while page := await self._clearing.reading.settlements(conn, wanted):
            found += page
            wanted = replace(wanted, after=page[-1].id)
        return [_position(settlement) for settlement in found]


def _position(s: Settlement) -> Position:
    return Position(
        settlement=s.id,
        issuer=s.issuer,
        company=s.company,
        store=s.store,
        redeemed_fen=s.redeemed_fen,
        given_back_fen=s.given_back_fen,
        fees_fen=s.fee_fen - s.fee_returned_fen,
        cash_fen=s.cash_fen,
        net_fen=s.amount_fen,
        state=s.state,
        due_on=s.due_on,
    )
