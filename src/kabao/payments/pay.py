"""Paying and inquiring: the commands that a till sends again and again.

The order of the checks is the order of what may be told: nothing about a card
before its secret was right (design.md section 4, "Probing"), then its state,
its limits, and last its money.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kabao.cards.limits import after_wrong, is_locked
from kabao.cards.model import STATUS, Proof, Resolved
from kabao.ledger.model import (
    CommandBase,
    Decision,
    Event,
    Hold,
    HoldState,
    Moment,
    Purpose,
    Root,
    RootState,
)
from kabao.payments import rules, sql
from kabao.payments.model import Decline, Limits, Payment, Place, Reason, Status
from kabao.payments.rules import No
from kabao.policy.choices import RiskAction


class Kept(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What is kept of a payment's first answer; the rest is in the repeated request."""

    id: str
    created_us: int
    day: int
    status: str
    card: tuple[str, str, str] | None
    """Root, card, last four digits."""
    parts: tuple[int, int]
    decline_code: str | None
    rule: str | None
    balance_after_fen: int | None
    expires_us: int | None
    reason: str | None = None
    tries_left: int | None = None


_decode_kept = msgspec.json.Decoder(Kept).decode


class Told(msgspec.Struct, frozen=True, gc=False):
    """What an event tells of a payment; the rest is read by its id."""

    payment: str
    card: str | None
    store: str
    amount: int
    currency: str
    balance_after: int | None


class Flagged(msgspec.Struct, frozen=True, gc=False):
    """What is told inside of a payment that looks strange. `why` would have declined it."""

    payment: str
    card: str | None
    store: str
    amount: int
    rule: str | None
    why: Decline


class Stale(msgspec.Struct, frozen=True):
    """The card's secret or carrier changed between look-up and lock: look up again."""


STALE = Stale()


class Request(msgspec.Struct, frozen=True, gc=False):
    """What a door asks for, checked for form and scope. `id` is the payment's."""

    id: str
    company: str
    key: str
    mac: bytes
    amount_fen: int
    currency: str
    place: Place
    reference: str | None = None
    order: str | None = None
    """What a pay code is tied to besides the till; None: the reference."""
    metadata: str = "{}"
    capture: bool = True
    accept_partial: bool = False
    refused: Any = None
    """A KabaoError about the till. It is told after the key was looked at: a till
    that has been blocked since still gets the first answer again.
    """


class Terms(msgspec.Struct, frozen=True):
    """What was known of the card's programme before the lock."""

    limits: Limits
    store: No | None
    """Why the store may not take the card, if it may not."""
    stopped: str | None
    """The rule that has switched payments off, if one has."""


class Pay(CommandBase, frozen=True, kw_only=True):
    """The command to pay or to hold. A payment's id is its operation's id."""

    request: Request
    card: Resolved | None
    terms: Terms | None
    """None exactly when the card is unknown."""

    @property
    def always_kept(self) -> bool:
        """A payment is always an answer, declined or not, unless the till is refused."""
        return self.request.refused is None

    def recall(self, result: bytes) -> Payment:
        """The first answer again: what was kept, over the repeated request."""
        return self._answer(_decode_kept(result))

    def decide(self, root: Root | None, moment: Moment, loaded: Any) -> Decision:
        """Decide under the lock."""
        del loaded
        if self.request.refused is not None:
            raise self.request.refused
        card, terms = self.card, self.terms
        if root is None or card is None or terms is None:
            return self._not_accepted(NotAccepted(Reason.UNKNOWN_CARD), moment)
        if root.card != card.card or root.secret_version != card.secret_version:
            if replaced(card):
                return self._not_accepted(NotAccepted(Reason.REPLACED), moment)
            return Decision(result=STALE, remember=False)
        limits = terms.limits
        if (no := not_accepted(root, card, limits, moment)) is not None:
            return self._not_accepted(no, moment)
        if card.proof == Proof.NONE:
            # A track alone is half the secret: neither state nor balance is told for it.
            return self._declined(No(Decline.PIN_REQUIRED, "P-07"), None, moment)
        forgiven = {"pin_tries": 0} if root.pin_tries and card.pin_proved else {}
        refused = self._refusal(root, terms, moment)
        if refused is not None:
            return self._declined(refused, root, moment, forgiven)
        return self._approved(root, limits, moment, forgiven)

    def decide_late(self, moment: Moment) -> Decision:
        """A reversal came first: the original is refused (P-19, F-7)."""
        return self._declined(No(Decline.REVERSED_BEFORE, "P-19"), None, moment)

    def _amount(self, root: Root, terms: Terms) -> int:
        """What would be approved: less than asked only where both sides accept it."""
        asked = self.request.amount_fen
        if asked <= root.available_fen or not (
            self.request.accept_partial and terms.limits.partial
        ):
            return asked
        return root.available_fen

    def _refusal(self, root: Root, terms: Terms, moment: Moment) -> No | None:
        """The first rule that says no, after the secret was right."""
        request, amount = self.request, self._amount(root, terms)
        if (no := rules.state_forbids(root, moment.day)) is not None:
            return no
        if request.currency != root.currency:
            return No(Decline.WRONG_CURRENCY)
        if terms.store is not None:
            return terms.store
        if terms.stopped is not None:
            return No(Decline.PAYMENTS_STOPPED, terms.stopped)
        if (no := rules.over_limits(root, amount, terms.limits, moment)) is not None:
            return no
        fired = rules.suspicious(root, amount, terms.limits, moment)
        if fired is not None and fired[1] == RiskAction.DECLINE:
            return fired[0]
        if amount > root.available_fen or amount == 0:
            return No(Decline.INSUFFICIENT_FUNDS, "P-16")
        return None

    def _approved(
        self, root: Root, limits: Limits, moment: Moment, forgiven: dict[str, int]
    ) -> Decision:
        assert self.terms is not None
        request, amount = self.request, self._amount(root, self.terms)
        principal, bonus = rules.take(
            amount, root.principal_fen, root.bonus_fen, limits.spend_order
        )
        pairs, purpose = (
            (rules.SPEND, Purpose.PAYMENT) if request.capture else (rules.SET_ASIDE, Purpose.HOLD)
        )
        house = request.place.store if request.capture else None
        expires_us = None if request.capture else moment.us + limits.hold_us
        kept = Kept(
            request.id,
            moment.us,
            moment.day.toordinal(),
            Status.CAPTURED if request.capture else Status.AUTHORIZED,
            self._named(),
            (principal, bonus),
            None,
            None,
            root.available_fen - amount,
            expires_us,
        )
        payment = self._answer(kept)
        held = (
            (Hold(request.id, root.id, HoldState.OPEN, principal, bonus, expires_us),)
            if expires_us is not None
            else ()
        )
        events = [Event(f"payment.{payment.status}", told(payment))]
        fired = rules.suspicious(root, amount, limits, moment)
        if fired is not None:
            events.append(Event("payment.flagged", flagged(payment, fired[0])))
        return Decision(
            result=payment,
            kept=kept,
            moves=rules.moves(principal, bonus, *pairs, purpose, house=house),
            set=rules.counted(root, amount, limits, moment) | forgiven,
            holds=held,
            rows=((sql.insert_payments, payment),),
            events=tuple(events),
        )

    def _not_accepted(self, no: NotAccepted, moment: Moment) -> Decision:
        return self._declined(
            No(Decline.CARD_NOT_ACCEPTED), None, moment, no.set, (no.reason, no.tries_left)
        )

    def _declined(
        self,
        no: No,
        root: Root | None,
        moment: Moment,
        counters: dict[str, int] | None = None,
        hidden: tuple[str | None, int | None] = (None, None),
    ) -> Decision:
        """A decline. `root` is given only where the caller may know the balance."""
        kept = Kept(
            self.request.id,
            moment.us,
            moment.day.toordinal(),
            Status.DECLINED,
            self._named(),
            (0, 0),
            no.code,
            no.rule,
            root.available_fen if root is not None else None,
            None,
            *hidden,
        )
        payment = self._answer(kept)
        return Decision(
            result=payment,
            kept=kept,
            set=counters or None,
            rows=((sql.insert_payments, payment),),
        )

    def _named(self) -> tuple[str, str, str] | None:
        card = self.card
        return (card.root, card.card, card.last4) if card is not None else None

    def _answer(self, kept: Kept) -> Payment:
        """The payment as it was first answered."""
        request, place = self.request, self.request.place
        principal, bonus = kept.parts
        captured = kept.status == Status.CAPTURED
        root, card, last4 = kept.card or (None, None, None)
        return Payment(
            id=kept.id,
            company=request.company,
            root=root,
            card=card,
            last4=last4,
            store=place.store,
            terminal=place.terminal,
            cashier=place.cashier,
            shift=place.shift,
            channel=place.channel,
            reference=request.reference,
            metadata=request.metadata,
            currency=request.currency,
            requested_fen=request.amount_fen,
            approved_fen=principal + bonus,
            captured_fen=principal + bonus if captured else 0,
            refunded_fen=0,
            principal_fen=principal if captured else 0,
            bonus_fen=bonus if captured else 0,
            refunded_principal_fen=0,
            refunded_bonus_fen=0,
            held_principal_fen=0 if captured else principal,
            held_bonus_fen=0 if captured else bonus,
            status=kept.status,
            decline_code=kept.decline_code,
            rule=kept.rule,
            balance_after_fen=kept.balance_after_fen,
            tender="stored_value",
            invoiceable_fen=0,
            expires_us=kept.expires_us,
            created_us=kept.created_us,
            day=kept.day,
            reason=kept.reason,
            tries_left=kept.tries_left,
        )


def command(request: Request, card: Resolved | None, terms: Terms | None) -> Pay:
    """The command for a checked request and what its source turned out to be."""
    return Pay(
        company=request.company,
        operation=request.id,
        key=request.key,
        mac=request.mac,
        root=card.root if card is not None else None,
        dims=rules.dimensions(request.place),
        request=request,
        card=card,
        terms=terms,
    )


def replaced(card: Resolved) -> bool:
    """Whether the value had gone on to another carrier when the card was looked up:
    looking it up again would not bring it back.
    """
    return STATUS[card.state_of_carrier] == "replaced"


def flagged(payment: Payment, fired: No) -> Flagged:
    """What stays inside of a payment that looks strange and goes through (R-06)."""
    return Flagged(
        payment.id, payment.card, payment.store, payment.approved_fen, fired.rule, fired.code
    )


def told(payment: Payment) -> Told:
    """What an event tells of a payment."""
    return Told(
        payment.id,
        payment.card,
        payment.store,
        payment.approved_fen,
        payment.currency,
        payment.balance_after_fen,
    )


class NotAccepted(msgspec.Struct, frozen=True):
    """A card that is not accepted: why, for those who may hear it, and what it counts."""

    reason: Reason
    tries_left: int | None = None
    set: dict[str, int] | None = None


def not_accepted(root: Root, card: Resolved, limits: Limits, moment: Moment) -> NotAccepted | None:
    """Whether a card is refused before anything may be told of it (ATK-1, R-01)."""
    if is_locked(root, moment.us):
        return NotAccepted(Reason.SECRET_LOCKED, 0)
    if card.proof is Proof.NO_PIN_SET:
        return NotAccepted(Reason.NO_PIN_SET)
    if card.proof is Proof.WRONG:
        counters = after_wrong(
            root, card.proof, tries=limits.pin_tries, lock_us=limits.pin_lock_us, now_us=moment.us
        )
        left = limits.pin_tries - root.pin_tries - 1
        return NotAccepted(Reason.WRONG_SECRET, max(0, left), counters)
    if root.state == RootState.INACTIVE:
        return NotAccepted(Reason.NOT_ACTIVATED)
    return None
