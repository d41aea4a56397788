"""Cards sold at a till: one or a consecutive row of them, activated together with what was
paid for them, and taken back into stock while they are unused.

Private data of the message: tender (2 letters: `CA` cash, `BC` bank card, `MO` mobile, `NO`
none), how many cards (3 digits), and the last card's number as a check, if the till knows it.
The amount is for all cards together and divides evenly among them.
"""

from __future__ import annotations

import re

import msgspec

from kabao.base.clock import BusinessDays, Clock, now
from kabao.base.db import Conn, Database
from kabao.base.ids import to_edge
from kabao.cards.model import Card, CardNumber, CardRef
from kabao.cards.ops import Cards
from kabao.cards.ops.life import Life
from kabao.cards.states import Reason
from kabao.edges.iso8583 import sql
from kabao.edges.iso8583.call import NO_PIN, Call, Refused, key_of
from kabao.edges.iso8583.entries import Done, replied
from kabao.edges.iso8583.model import Outcome, Reply
from kabao.edges.iso8583.supervisors import Supervisors
from kabao.merchants.model import OverrideVerb
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org
from kabao.policy import names
from kabao.policy.model import Rules
from kabao.policy.ops import Policy
from kabao.topups.ops import NewTopUp, TopUps
from kabao.vault.ops import Vault

_PRIVATE = re.compile("(CA|BC|MO|NO)([0-9]{3})([0-9]{12,19})?")


_SLIPS = frozenset({"BC", "MO"})
"""Tenders that leave a slip and nothing in the drawer."""


class Row(msgspec.Struct, frozen=True):
    """What a till sells in one message."""

    cards: list[Card]
    tender: str
    each_fen: int


class Sold:
    """Sales of cards at a till."""

    def __init__(
        self,
        db: Database,
        topups: TopUps,
        cards: Cards,
        life: Life,
        org: Org,
        merchants: Merchants,
        supervisors: Supervisors,
        policy: Policy,
        vault: Vault,
        clock: Clock,
        days: BusinessDays,
    ) -> None:
        self._db, self._topups, self._cards, self._life = db, topups, cards, life
        self._org, self._merchants, self._policy, self._vault = org, merchants, policy, vault
        self._supervisors, self._clock, self._days = supervisors, clock, days

    async def activate(self, conn: Conn, call: Call, said: bytes) -> Done:
        """Activate every card and load what was paid: all of it or nothing (T-02)."""
        row = await self._row(conn, call)
        ids = [card.id for card in row.cards]
        await self._life.hold(conn, *ids)
        for ident in ids:
            await self._life.activate(conn, ident, call.by, reason=Reason.SOLD)
        if row.each_fen:
            await self._topups.load_in(
                conn, [self._load(call, row, n, said) for n in range(len(ids))]
            )
        total = row.each_fen * len(ids)
        shift = call.at(self._merchants).shift
        if row.tender in _SLIPS and shift is not None:
            await self._merchants.shifts.drawers.slip(conn, shift, total, key_of(*call.place))
        # How many is kept with the answer: whoever undoes the sale need not say it again.
        reply = Reply(Outcome.OK, amount_fen=total, private=f"{len(ids):03}")
        return Done(reply, total, ids[0])

    async def who_allows(self, call: Call) -> str | None:
        """The supervisor who lets the cashier undo a sale of cards, if one has come.

        Not inside a transaction. Raises `override_refused`.
        """
        async with self._db.read() as conn:
            again = await sql.entry(conn, call.place)
            entry = await sql.entry(conn, call.original)
        if again is not None or entry is None or entry.subject is None:
            return None
        verb, subject = OverrideVerb.TOPUP_VOID, to_edge("card", entry.subject)
        ask = self._supervisors.asked(call, verb, subject, entry.amount_fen)
        override = await self._supervisors.override(call, ask)
        if override is None:
            return None
        return await self._merchants.overrides.use(
            ask,
            override,
            key=f"{call.session.company}/activate-undo/{call.key}",
            row=self._rules().row(names.TOPUP_VOID_NEEDS_SUPERVISOR),
        )

    async def undo(self, conn: Conn, call: Call, said: bytes, supervisor: str | None) -> Done:
        """Undo a sale of this terminal's batch, while every card of it is unused."""
        amount = await self._undo(conn, call, call.original, said, supervisor, unheard=False)
        return Done(Reply(Outcome.OK, amount_fen=amount), amount)

    async def undo_unheard(self, call: Call, place: sql.Place) -> None:
        """The reversal of a sale whose answer never came."""
        said = self._vault.mac("idempotency", f"reverse|{key_of(*place)}".encode())
        async with self._db.transaction() as conn:
            entry = await sql.claim(conn, place, call.verb, b"", now(self._clock), state="barred")
            if entry is None or entry.state != "done":
                return
            await self._undo(conn, call, place, said, None, unheard=True)
            await sql.undo_entry(conn, place)

    async def _undo(
        self,
        conn: Conn,
        call: Call,
        place: sql.Place,
        said: bytes,
        supervisor: str | None,
        *,
        unheard: bool,
    ) -> int:
        entry = await sql.entry(conn, place)
        if entry is None or entry.verb != "activate" or entry.state != "done":
            raise Refused(Outcome.NO_ORIGINAL)
        assert entry.subject is not None, "a sale begins with a card"
        answered = replied(entry)
        assert answered is not None and answered.private is not None, "a sale says how many"
        first = await self._cards.find_card(conn, entry.subject)
        cards = await self._cards.series(conn, first, int(answered.private))
        await self._life.hold(conn, *[card.id for card in cards])
        loads = await self._topups.search(
            conn, stores=[call.session.store], reference=_reference(place), limit=200
        )
        for load in loads:
            key = f"topup-void/{call.key}.{load.id}"
            await self._topups.void_in(
                conn, call.session.company, key, said, load, supervisor, unheard=unheard
            )
        for card in cards:
            await self._life.unsell(conn, card.id, call.by)
        await self._merchants.shifts.drawers.undo_slip(conn, key_of(*place))
        return entry.amount_fen

    async def _row(self, conn: Conn, call: Call) -> Row:
        """The cards that a message names. Raises Refused."""
        text = call.message.raw("private").decode("ascii", "ignore")
        said = _PRIVATE.fullmatch(text)
        if said is None:
            raise Refused(Outcome.FORMAT_ERROR)
        tender, count, last = said[1], int(said[2]), said[3]
        if not 1 <= count <= self._rules().int(names.POS_ACTIVATE_MAX_COUNT):
            raise Refused(Outcome.OVER_COUNT)
        amount = call.message.amount_fen
        if amount % count or (tender == "NO") != (amount == 0):
            raise Refused(Outcome.BAD_AMOUNT)
        first = await self._named(conn, call.named)
        cards = await self._cards.series(conn, first, count)
        if len(cards) != count:
            raise Refused(Outcome.NO_CARD)
        if last is not None and (await self._named(conn, last)).id != cards[-1].id:
            raise Refused(Outcome.WRONG_ORIGINAL)
        return Row(cards, tender, amount // count)

    def _rules(self) -> Rules:
        on = self._days.of(self._clock.now_us())
        return self._policy.rules(jurisdiction="national", on=on)

    async def _named(self, conn: Conn, pan: str) -> Card:
        (found,) = await self._cards.resolve(conn, [CardNumber(pan, NO_PIN)])
        if found is None:
            raise Refused(Outcome.NO_CARD)
        return await self._cards.find_card(conn, found.card)

    def _load(self, call: Call, row: Row, n: int, said: bytes) -> NewTopUp:
        session = call.session
        store = self._org.store(session.store)
        assert store is not None, "a terminal without its store"
        return NewTopUp(
            company=session.company,
            key=f"topup/{call.key}.{n:03}",
            mac=said,
            source=CardRef(f"card_{row.cards[n].id}"),
            amount_fen=row.each_fen,
            currency=call.currency,
            store=store,
            till=self._merchants.till(store.id, session.terminal, session.cashier),
            reference=_reference(call.place),
            payer=None,
        )


def _reference(place: sql.Place) -> str:
    """What the loads of one sale are found by."""
    return f"pos.{key_of(*place)}"
