"""What a till does besides paying: loads, PINs, losses, and asking what became of a message."""

from __future__ import annotations

from kabao.base.db import Conn, Database
from kabao.base.errors import KabaoError
from kabao.base.ids import to_edge
from kabao.cards.claims import CLAIM_TOO_WEAK, ByPossession
from kabao.cards.model import CardNumber, Track
from kabao.cards.ops import Cards
from kabao.cards.ops.life import Life
from kabao.cards.states import Reason
from kabao.edges.iso8583 import sql
from kabao.edges.iso8583.call import Call, Refused, key_of, label
from kabao.edges.iso8583.entries import Done, replied
from kabao.edges.iso8583.model import Outcome, Reply, approval_of, rrn_of
from kabao.edges.iso8583.sales import show_payment
from kabao.edges.iso8583.supervisors import Supervisors
from kabao.ledger.model import OperationState
from kabao.ledger.ops import Ledger
from kabao.merchants.model import OverrideVerb
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org
from kabao.payments.model import Status
from kabao.payments.ops import Payments
from kabao.topups.model import TopUp
from kabao.topups.ops import NewTopUp, TopUps


class Counter:
    """The counter of a store, behind one of its tills."""

    def __init__(
        self,
        db: Database,
        ledger: Ledger,
        payments: Payments,
        topups: TopUps,
        cards: Cards,
        life: Life,
        org: Org,
        merchants: Merchants,
        supervisors: Supervisors,
    ) -> None:
        self._db, self._ledger, self._payments, self._topups = db, ledger, payments, topups
        self._cards, self._life, self._org, self._merchants = cards, life, org, merchants
        self._supervisors = supervisors

    async def load(self, call: Call, said: bytes) -> Done:
        """Load a card with cash."""
        session = call.session
        store = self._org.store(session.store)
        assert store is not None, "a terminal without its store"
        new = NewTopUp(
            company=session.company,
            key=f"topup/{call.key}",
            mac=said,
            source=call.source,
            amount_fen=call.amount_fen,
            currency=call.currency,
            store=store,
            till=await self._merchants.find_till(store.id, session.terminal, session.cashier),
            reference=label(session.terminal, call.message.batch),
            payer=None,
        )
        return _loaded(await self._topups.load(new), call.amount_fen)

    async def void_load(self, call: Call, said: bytes) -> Done:
        """Undo a load of this terminal, while nothing of it is spent."""
        place = call.original
        async with self._db.read() as conn:
            entry = await sql.entry(conn, place)
            if entry is None or entry.subject is None or entry.verb != "load":
                raise Refused(Outcome.NO_ORIGINAL)
            topup = await self._topups.get(conn, entry.subject)
        if call.amount_fen != topup.amount_fen:
            raise Refused(Outcome.BAD_AMOUNT)
        session, key = call.session, f"topup-void/{call.key}"
        supervisor = await self._who_allows(call, topup, key)
        till = await self._merchants.find_till(session.store, session.terminal, session.cashier)
        after = await self._topups.void(session.company, key, said, topup, supervisor, till)
        return _loaded(after, topup.amount_fen)

    async def _who_allows(self, call: Call, topup: TopUp, key: str) -> str | None:
        """The supervisor who lets the cashier void a load, if one has come."""
        company = call.session.company
        if await self._topups.was_done(company, key):
            return None
        subject, verb = to_edge("top", topup.id), OverrideVerb.TOPUP_VOID
        ask = self._supervisors.asked(call, verb, subject, topup.amount_fen)
        override = await self._supervisors.override(call, ask)
        name = f"{company}/{key}"
        return await self._topups.allowed(topup, call.session.cashier, override, key=name)

    async def change_pin(self, conn: Conn, call: Call, said: bytes) -> Done:
        """Another PIN in place of the one that was shown; the new one comes as a second block."""
        del said
        source = call.source
        if not isinstance(source, CardNumber | Track) or source.pin is None:
            raise Refused(Outcome.PIN_REQUIRED)
        pan = source.number if isinstance(source, CardNumber) else source.track2.partition("D")[0]
        new = call.second_pin(pan, call.message.raw("private"))
        card = await self._card(conn, call)
        await self._life.change_pin(conn, card, source.pin, new, call.by)
        return Done(Reply(Outcome.OK), subject=card)

    async def report_loss(self, conn: Conn, call: Call, said: bytes) -> Done:
        """Stop a card on the strength of its own secret (P-15). A registered card is lost
        when its holder says so, whom a till does not know: it is frozen until then.
        """
        del said
        card = await self._card(conn, call)
        claim = ByPossession(call.source)
        try:
            await self._life.report_loss(conn, card, claim, Reason.LOST, call.by)
        except KabaoError as refused:
            if refused.code is not CLAIM_TOO_WEAK:
                raise
            await self._life.freeze(conn, card, Reason.HOLDER_REQUEST, claim, call.by)
        return Done(Reply(Outcome.OK), subject=card)

    async def take_back(self, conn: Conn, call: Call, said: bytes) -> Done:
        """A card without paid value is handed in, and ends."""
        del said
        card = await self._card(conn, call)
        claim = ByPossession(call.source)
        await self._life.close(conn, card, claim, Reason.RETURNED, call.by)
        return Done(Reply(Outcome.OK), subject=card)

    async def _card(self, conn: Conn, call: Call) -> str:
        (found,) = await self._cards.resolve(conn, [call.source])
        if found is None:
            raise Refused(Outcome.NO_CARD)
        return found.card

    async def last(self, call: Call) -> Reply:
        """What became of a message of this terminal: for a till that never heard."""
        place = call.original
        async with self._db.read() as conn:
            entry = await sql.entry(conn, place)
            if entry is None or entry.state == "barred":
                paid = await self._paid(conn, call.session.company, place)
                never = Outcome.NO_ORIGINAL if entry is None else Outcome.ALREADY_REVERSED
                return paid or Reply(never)
        if entry.state == "undone":
            return Reply(Outcome.ALREADY_REVERSED)
        return replied(entry) or Reply(Outcome.IN_DOUBT)

    async def _paid(self, conn: Conn, company: str, place: sql.Place) -> Reply | None:
        """What became of a payment; None if none has come."""
        known = await self._ledger.operation(conn, company, f"pay/{key_of(*place)}")
        if known is None:
            return None
        if known.state == OperationState.TOMBSTONE:
            return Reply(Outcome.ALREADY_REVERSED)
        payment = await self._payments.get(conn, known.id)
        if payment.status == Status.REVERSED:
            return Reply(Outcome.ALREADY_REVERSED, rrn=rrn_of(payment.id))
        if payment.status == Status.VOIDED:
            return Reply(Outcome.ALREADY_VOIDED, rrn=rrn_of(payment.id))
        return show_payment(payment)


def _loaded(topup: TopUp, amount_fen: int) -> Done:
    reply = Reply(
        Outcome.OK,
        rrn=rrn_of(topup.id),
        approval=approval_of(topup.id),
        available_fen=topup.balance_after_fen,
    )
    return Done(reply, amount_fen, topup.id)
