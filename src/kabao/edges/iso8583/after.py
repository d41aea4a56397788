"""What follows a payment at a till: void, refund, completion, cancel, reversal."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable
from typing import TypeVar

import psycopg

from kabao.base.db import Database
from kabao.base.errors import KabaoError
from kabao.base.ids import to_edge
from kabao.edges.iso8583 import sql
from kabao.edges.iso8583.batches import Batches
from kabao.edges.iso8583.books import Books
from kabao.edges.iso8583.call import Call, Refused, key_of
from kabao.edges.iso8583.entries import Done, Entries
from kabao.edges.iso8583.model import Outcome, Reply, Verb, approval_of, ids_of, rrn_of
from kabao.edges.iso8583.reading import number
from kabao.edges.iso8583.sales import kept_with
from kabao.edges.iso8583.sold import Sold
from kabao.edges.iso8583.supervisors import Supervisors
from kabao.ledger.model import OperationState
from kabao.ledger.ops import Ledger
from kabao.merchants.model import Alone, OverrideVerb
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org
from kabao.payments.model import WRONG_STATE, Payment, Status
from kabao.payments.ops import Ask, Payments
from kabao.topups.ops import TopUps
from kabao.vault.ops import Vault

TRIES = 3
"""How often a reversal and what it undoes may cross."""

SALES = frozenset({Verb.PURCHASE, Verb.ADVICE})
"""What a void undoes."""

_WRONG_STATE = {
    Status.VOIDED: Outcome.ALREADY_VOIDED,
    Status.REVERSED: Outcome.ALREADY_REVERSED,
    Status.EXPIRED: Outcome.ALREADY_REVERSED,
}

R = TypeVar("R")


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
        books: Books,
        batches: Batches,
        sold: Sold,
        supervisors: Supervisors,
    ) -> None:
        self._db, self._ledger, self._payments, self._topups = db, ledger, payments, topups
        self._org, self._merchants, self._vault, self._entries = org, merchants, vault, entries
        self._books, self._batches, self._sold = books, batches, sold
        self._supervisors = supervisors

    async def void(self, call: Call, said: bytes) -> Done:
        """Undo a sale whole: same terminal, same batch, same amount (MF-07)."""
        payment = await self._original(call)
        kept = kept_with(payment)
        if (
            payment.terminal != call.session.terminal
            or kept is None
            or kept.verb not in SALES
            or kept.batch != call.session.batch
        ):
            raise Refused(Outcome.WRONG_ORIGINAL)
        if call.amount_fen != payment.approved_fen:
            raise Refused(Outcome.BAD_AMOUNT)
        return await self._void(call, said, payment)

    async def cancel(self, call: Call, said: bytes) -> Done:
        """Set a hold free of which nothing was taken; any till of the store may."""
        payment = await self._original(call)
        self._check_store(call, payment)
        if call.amount_fen != payment.approved_fen:
            raise Refused(Outcome.BAD_AMOUNT)
        return await self._void(call, said, payment, held_only=True)

    async def void_completion(self, call: Call, said: bytes) -> Done:
        """Undo what completed a hold at this terminal in this batch, whole (MF-07)."""
        payment = await self._original(call)
        terminal, batch, _ = call.place
        async with self._db.read() as conn:
            completed_fen = await sql.completed(conn, terminal, batch, payment.id)
        # More was taken of it at another door: that is not this till's to give back.
        if completed_fen is None or payment.captured_fen not in {0, completed_fen}:
            raise Refused(Outcome.WRONG_ORIGINAL)
        if call.amount_fen != completed_fen:
            raise Refused(Outcome.BAD_AMOUNT)
        return await self._void(call, said, payment)

    async def _void(
        self, call: Call, said: bytes, payment: Payment, *, held_only: bool = False
    ) -> Done:
        ask = Ask(call.session.company, "void/" + call.key, said)
        await self._allowed(call, OverrideVerb.VOID, payment, ask)
        place = call.at(self._merchants, payment.store)
        after = await self._unless_undone(
            payment,
            self._payments.void(ask, payment, place.shift, place, held_only=held_only),
        )
        return _done(after, call.amount_fen)

    async def refund(self, call: Call, said: bytes) -> Done:
        """Give back part or all of a payment of any till of the company."""
        payment = await self._original(call)
        ask = Ask(call.session.company, "refund/" + call.key, said)
        alone = await self._allowed(call, OverrideVerb.REFUND, payment, ask)
        place = call.at(self._merchants, payment.store)
        refunded = await self._unless_undone(
            payment, self._payments.refund(ask, payment, call.amount_fen, place, alone=alone)
        )
        return _done(refunded.payment, refunded.refund.amount_fen)

    async def complete(self, call: Call, said: bytes) -> Done:
        """Take part or all of a hold, and set the rest free; any till of the store may."""
        payment = await self._original(call)
        self._check_store(call, payment)
        ask = Ask(call.session.company, "capture/" + call.key, said)
        place = call.at(self._merchants, payment.store)
        after = await self._unless_undone(
            payment,
            self._payments.capture(ask, payment, call.amount_fen, final=True, place=place),
        )
        return _done(after, call.amount_fen)

    def _check_store(self, call: Call, payment: Payment) -> None:
        if payment.store != call.session.store:
            raise Refused(Outcome.WRONG_ORIGINAL)

    async def _unless_undone(self, payment: Payment, work: Awaitable[R]) -> R:
        """What the ledger makes of it: it knows first what was done under the same key.

        Raises Refused for a payment whose state forbids it, telling how it was undone.
        """
        try:
            return await work
        except KabaoError as refused:
            if refused.code is not WRONG_STATE:
                raise
            async with self._db.read() as conn:
                status = (await self._payments.get(conn, payment.id)).status
            raise Refused(_WRONG_STATE.get(Status(status), Outcome.WRONG_ORIGINAL)) from refused

    async def _allowed(
        self, call: Call, verb: OverrideVerb, payment: Payment, by: Ask
    ) -> Alone | None:
        """A cashier may need a supervisor. What may be given back alone, if nobody did.

        Raises `override_needed`, `override_not_valid`, `override_refused`.
        """
        if await self._payments.was_done(by):
            return None
        ask = self._supervisors.asked(call, verb, to_edge("pay", payment.id), call.amount_fen)
        return await self._merchants.overrides.require(
            ask,
            await self._supervisors.override(call, ask),
            key=f"{by.company}/{by.key}",
            made_us=payment.created_us,
            before_fen=payment.refunded_fen,
        )

    async def _original(self, call: Call) -> Payment:
        """The payment that a message is about: by batch and trace, or by RRN.

        Raises Refused for one that is unknown, of another company or not approved.
        """
        message = call.message
        if number(message.part("original_trace")):
            payment = await self._by_place(call, call.original)
        else:
            payment = await self._by_rrn(message.part("rrn"))
        if payment is None or not self._same_company(call, payment):
            raise Refused(Outcome.NO_ORIGINAL)
        if payment.status == Status.DECLINED:
            raise Refused(Outcome.NO_ORIGINAL)
        return payment

    async def _by_place(self, call: Call, place: sql.Place) -> Payment | None:
        """The payment of a message of this terminal, or the one that it completed."""
        async with self._db.read() as conn:
            entry = await sql.entry(conn, place)
            if entry is not None and entry.verb == Verb.COMPLETION and entry.subject is not None:
                return await self._payments.get(conn, entry.subject)
            if entry is not None and entry.state != "barred":
                return None
            known = await self._ledger.operation(conn, call.session.company, _pay(place))
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

    async def reverse(self, call: Call) -> Reply:
        """Undo a message whose answer never came, also if it never came itself (MF-10).

        Answered alike however often it is asked. What it says of its original's verb is
        not believed: the place counts, in the entries and among the payments.
        """
        message, session = call.message, call.session
        place = (
            session.terminal,
            number(message.part("reversal_batch")) or session.batch,
            number(message.part("reversal_trace")),
        )
        if not place[2]:
            raise Refused(Outcome.NO_ORIGINAL)
        reply = await self._reverse(call, place)
        async with self._db.transaction() as conn:
            await self._batches.note_late(conn, *place[:2])
        return reply

    async def _reverse(self, call: Call, place: sql.Place) -> Reply:
        async with self._db.transaction() as conn:
            entry = await self._entries.bar(conn, call, place)
        if entry is None or entry.verb == Verb.REVERSAL:
            return await self._reverse_payment(call, place)
        match entry.state:
            case "open":
                return await self._reverse_open(call, place, Verb(entry.verb))
            case "done" if entry.verb == Verb.LOAD and entry.subject is not None:
                return await self._unload(call, place, entry.subject)
            case "done" if entry.verb == Verb.ACTIVATE:
                await self._sold.undo_unheard(call, place)
                return Reply(Outcome.OK)
            case "done":
                return Reply(Outcome.LATER_ACTIVITY)
            case _:
                return Reply(Outcome.OK)

    async def _reverse_open(self, call: Call, place: sql.Place, verb: Verb) -> Reply:
        """Undo what is at work, or was when its process died: the ledger knows, or is told
        that it must not happen any more.
        """
        company = call.session.company
        for _ in range(TRIES):
            async with self._db.read() as conn:
                known = await self._books.operation(conn, company, verb, place)
                topup = await self._books.loaded(conn, known) if known is not None else None
            if topup is not None:
                return await self._unload(call, place, topup.id)
            if known is not None and known.state == OperationState.ANSWERED:
                return Reply(Outcome.OK if verb is Verb.LOAD else Outcome.LATER_ACTIVITY)
            with contextlib.suppress(psycopg.errors.UniqueViolation):  # it was faster
                async with self._db.transaction() as conn:
                    if known is None:
                        await self._books.bar(conn, company, verb, place)
                    await sql.bar_entry(conn, place)
                return Reply(Outcome.OK)
        return Reply(Outcome.UNAVAILABLE)

    async def _reverse_payment(self, call: Call, place: sql.Place) -> Reply:
        original = key_of(*place)
        said = self._vault.mac("idempotency", f"reverse|{original}".encode())
        ask = Ask(call.session.company, f"reverse/{original}", said)
        done = await self._payments.reverse_key(
            ask,
            original,
            _nothing_to_check,
            lambda payment: call.at(self._merchants, payment.store),
        )
        if done.payment is None or done.payment.status == Status.DECLINED:
            return Reply(Outcome.OK)
        return Reply(
            Outcome.OK, rrn=rrn_of(done.payment.id), available_fen=done.payment.balance_after_fen
        )

    async def _unload(self, call: Call, place: sql.Place, ident: str) -> Reply:
        async with self._db.read() as conn:
            topup = await self._topups.get(conn, ident)
        said = self._vault.mac("idempotency", f"reverse|{ident}".encode())
        await self._topups.void(
            call.session.company, f"topup-void/r.{ident}", said, topup, None, unheard=True
        )
        await self._entries.undone(place)
        return Reply(Outcome.OK)


def _pay(place: sql.Place) -> str:
    """Under which key a payment stands in the ledger that was made by a message."""
    return "pay/" + key_of(*place)


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
