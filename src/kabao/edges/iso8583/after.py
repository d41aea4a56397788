"""What follows a payment at a till: void, refund, completion, cancel, reversal."""

from __future__ import annotations

from kabao.base.db import Database
from kabao.base.ids import to_edge
from kabao.edges.iso8583.call import Call, Refused, cashier_by_code, key_of
from kabao.edges.iso8583.entries import Done, Entries
from kabao.edges.iso8583.model import Outcome, Reply, Verb, approval_of, ids_of, rrn_of
from kabao.edges.iso8583.reading import number
from kabao.edges.iso8583.sold import Sold
from kabao.ledger.model import OperationState
from kabao.ledger.ops import Ledger
from kabao.merchants.model import OverrideAsk, OverrideVerb
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org
from kabao.payments.model import Payment, Status
from kabao.payments.ops import Ask, Payments
from kabao.topups.ops import TopUps
from kabao.vault.ops import Vault

PAID = frozenset({Verb.PURCHASE, Verb.HOLD, Verb.ADVICE})
"""Verbs that are payments in the books; their reversal works by key alone (F-7)."""

SUPERVISOR_PAN = "0" * 16
"""What stands for the card in the PIN block of a person."""

NOBODY_ID = "0" * 32

_WRONG_STATE = {
    Status.VOIDED: Outcome.ALREADY_VOIDED,
    Status.REVERSED: Outcome.ALREADY_REVERSED,
    Status.EXPIRED: Outcome.ALREADY_REVERSED,
}


class After:
    """Verbs on payments that were made."""

    def __init__(
        self,
        db: Database,
        ledger: Ledger,
        payments: Payments,
        topups: TopUps,
        org: Org,
        merchants: Merchants,
        vault: Vault,
        entries: Entries,
        sold: Sold,
    ) -> None:
        self._db, self._ledger, self._payments, self._topups = db, ledger, payments, topups
        self._org, self._merchants, self._vault, self._entries = org, merchants, vault, entries
        self._sold = sold

    async def void(self, call: Call, said: bytes) -> Done:
        """Undo a payment whole: same terminal, same batch, same amount (MF-07)."""
        payment = await self._original(call)
        same_batch = number(call.message.part("original_batch")) in {0, call.session.batch}
        if payment.terminal != call.session.terminal or not same_batch:
            raise Refused(Outcome.WRONG_ORIGINAL)
        return await self._undo(call, said, payment)

    async def cancel(self, call: Call, said: bytes) -> Done:
        """Set a hold free, or undo its completion; any till of the store may."""
        return await self._undo(call, said, await self._original(call))

    async def _undo(self, call: Call, said: bytes, payment: Payment) -> Done:
        _check_state(payment)
        if call.amount_fen != payment.approved_fen:
            raise Refused(Outcome.BAD_AMOUNT)
        ask = Ask(call.session.company, "void/" + call.key, said)
        await self._allowed(call, OverrideVerb.VOID, payment, ask)
        cashier = call.session.cashier
        shift = self._merchants.open_shift(cashier) if cashier else None
        after = await self._payments.void(ask, payment, shift.id if shift else None)
        return _done(after, payment.captured_fen)

    async def refund(self, call: Call, said: bytes) -> Done:
        """Give back part or all of a payment of any till of the company."""
        payment = await self._original(call)
        ask = Ask(call.session.company, "refund/" + call.key, said)
        await self._allowed(call, OverrideVerb.REFUND, payment, ask)
        refunded = await self._payments.refund(ask, payment, call.amount_fen)
        return _done(refunded.payment, refunded.refund.amount_fen)

    async def complete(self, call: Call, said: bytes) -> Done:
        """Take part or all of a hold, and set the rest free."""
        payment = await self._original(call)
        _check_state(payment)
        ask = Ask(call.session.company, "capture/" + call.key, said)
        after = await self._payments.capture(ask, payment, call.amount_fen, final=True)
        return _done(after, call.amount_fen)

    async def _allowed(self, call: Call, verb: OverrideVerb, payment: Payment, by: Ask) -> None:
        """A cashier may need a supervisor, who enters code and PIN at the same till.

        Raises `override_needed`, `override_refused`, and Refused for a block without a PIN.
        """
        session, overrides = call.session, self._merchants.overrides
        if session.cashier is None or await self._payments.was_done(by):
            return
        ask = OverrideAsk(
            verb=verb,
            store=session.store,
            cashier=session.cashier,
            subject=to_edge("pay", payment.id),
            amount_fen=call.amount_fen,
        )
        override = None
        code, block = call.message.part("cashier").strip(), call.message.raw("private")
        if code and block:
            async with self._db.read() as conn:
                person = await cashier_by_code(conn, self._merchants, session.store, code)
            pin = call.second_pin(SUPERVISOR_PAN, block)
            override = (await overrides.grant(ask, person or NOBODY_ID, pin)).id
        await overrides.require(
            ask,
            override,
            key=f"{by.company}/{by.key}",
            made_us=payment.created_us,
            before_fen=payment.refunded_fen,
        )

    async def _original(self, call: Call) -> Payment:
        """The payment that a message is about: by batch and trace, or by RRN.

        Raises Refused for one that is unknown, of another company or not approved.
        """
        message, session = call.message, call.session
        trace = number(message.part("original_trace"))
        if trace:
            batch = number(message.part("original_batch")) or session.batch
            payment = await self._by_key(session.company, key_of(session.terminal, batch, trace))
        else:
            payment = await self._by_rrn(message.part("rrn"))
        if payment is None or not self._same_company(call, payment):
            raise Refused(Outcome.NO_ORIGINAL)
        if payment.status == Status.DECLINED:
            raise Refused(Outcome.NO_ORIGINAL)
        return payment

    async def _by_key(self, company: str, key: str) -> Payment | None:
        async with self._db.read() as conn:
            known = await self._ledger.operation(conn, company, f"pay/{key}")
            if known is None:
                return None
            if known.state == OperationState.TOMBSTONE:
                raise Refused(Outcome.ALREADY_REVERSED)
            return await self._payments.get(conn, known.id)

    async def _by_rrn(self, rrn: str) -> Payment | None:
        span = ids_of(rrn)
        if span is None:
            return None
        async with self._db.read() as conn:
            found = await self._payments.between(conn, *span)
        return found[0] if len(found) == 1 else None

    def _same_company(self, call: Call, payment: Payment) -> bool:
        store = self._org.store(payment.store)
        return store is not None and store.company == call.session.company

    # --- reversal ---------------------------------------------------------------------------

    async def reverse(self, call: Call, verb: Verb | None) -> Reply:
        """Undo a message whose answer never came, also if it never came itself (MF-10).

        Answered alike however often it is asked. `verb` is the original's.
        """
        message, session = call.message, call.session
        place = (
            session.terminal,
            number(message.part("reversal_batch")) or session.batch,
            number(message.part("reversal_trace")),
        )
        if not place[2]:
            raise Refused(Outcome.NO_ORIGINAL)
        if verb is None or verb in PAID:
            return await self._reverse_payment(call, place)
        async with self._db.transaction() as conn:
            entry = await self._entries.bar(conn, call, place)
        if entry is None or entry.state in {"barred", "refused", "undone"}:
            return Reply(Outcome.OK)
        if entry.state == "done" and entry.verb == Verb.LOAD and entry.subject is not None:
            await self._unload(call, entry.subject)
            await self._entries.undone(place, entry)
            return Reply(Outcome.OK)
        if entry.state == "done" and entry.verb == Verb.ACTIVATE:
            await self._sold.undo_unheard(call, place)
            return Reply(Outcome.OK)
        if entry.state == "open":
            return Reply(Outcome.UNAVAILABLE)
        return Reply(Outcome.LATER_ACTIVITY)

    async def _reverse_payment(self, call: Call, place: tuple[str, int, int]) -> Reply:
        original = key_of(*place)
        said = self._vault.mac("idempotency", f"reverse|{original}".encode())
        ask = Ask(call.session.company, f"reverse/{original}", said)
        done = await self._payments.reverse_key(ask, original, _nothing_to_check)
        if done.payment is None or done.payment.status == Status.DECLINED:
            return Reply(Outcome.OK)
        return Reply(
            Outcome.OK, rrn=rrn_of(done.payment.id), available_fen=done.payment.balance_after_fen
        )

    async def _unload(self, call: Call, ident: str) -> None:
        async with self._db.read() as conn:
            topup = await self._topups.get(conn, ident)
        said = self._vault.mac("idempotency", f"reverse|{ident}".encode())
        await self._topups.void(
            call.session.company, f"topup-void/r.{ident}", said, topup, None, unheard=True
        )


def _check_state(payment: Payment) -> None:
    """Raises Refused for what was undone before."""
    wrong = _WRONG_STATE.get(Status(payment.status))
    if wrong is not None:
        raise Refused(wrong)


def _nothing_to_check(_payment: Payment) -> None:
    """The key names this very terminal: it cannot be another's payment."""


def _done(after: Payment, moved_fen: int) -> Done:
    reply = Reply(
        Outcome.OK,
        rrn=rrn_of(after.id),
        approval=approval_of(after.id),
        available_fen=after.balance_after_fen,
    )
    return Done(reply, moved_fen, after.id)
