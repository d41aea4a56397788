"""Paying, holding and asking at a till: the hot verbs, futures all the way."""

from __future__ import annotations

import asyncio

import msgspec

from kabao.base.db import Database
from kabao.base.errors import KabaoError
from kabao.base.ids import Ids, to_edge
from kabao.cards.model import CardNumber, CardRef
from kabao.cards.ops import Cards
from kabao.edges.iso8583 import outcomes
from kabao.edges.iso8583.call import CHANNEL, NO_PIN, Call, Refused, label
from kabao.edges.iso8583.model import Outcome, Reply, Verb, approval_of, rrn_of
from kabao.edges.iso8583.supervisors import Supervisors
from kabao.merchants.model import OverrideVerb
from kabao.merchants.ops import Merchants
from kabao.payments.model import Decline, Inquiry, Payment, Status
from kabao.payments.ops import Ask, Payments
from kabao.payments.pay import Request
from kabao.vault.ops import Vault

PARTIAL_ACCEPTED = "1"
"""Part `partial`: the till can ask the customer for the rest."""


class Metadata(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is kept with a payment besides, and read again when its batch is settled."""

    verb: str
    batch: int
    trace: int
    entry: str


_encode = msgspec.json.Encoder().encode
_decode_metadata = msgspec.json.Decoder(Metadata).decode


class Sales:
    """Purchase, hold, inquiry."""

    def __init__(
        self,
        db: Database,
        payments: Payments,
        cards: Cards,
        merchants: Merchants,
        supervisors: Supervisors,
        vault: Vault,
        ids: Ids,
    ) -> None:
        self._db, self._payments, self._cards = db, payments, cards
        self._merchants, self._supervisors = merchants, supervisors
        self._vault, self._ids = vault, ids

    def pay(self, call: Call) -> asyncio.Future[Payment]:
        """Pay or hold. Raises Refused."""
        request = self._request(call)
        return self._payments.pay(request, call.payable, _covers_none)

    async def pay_typed(self, call: Call) -> Reply:
        """Pay with a typed number without its PIN: a supervisor has seen the card.

        Raises `override_refused`, and Refused where policy knows no such override.
        """
        overrides, request = self._merchants.overrides, self._request(call)
        rules = overrides.rules()
        if OverrideVerb.TYPED_CARD not in rules.verbs:
            raise Refused(Outcome.PIN_REQUIRED)
        async with self._db.read() as conn:
            (found,) = await self._cards.resolve(conn, [CardNumber(call.named, NO_PIN)])
        if found is None:
            raise Refused(Outcome.NO_CARD)
        card = to_edge("card", found.card)
        if not await self._payments.was_done(Ask(request.company, request.key, request.mac)):
            ask = self._supervisors.asked(call, OverrideVerb.TYPED_CARD, card, request.amount_fen)
            override = await self._supervisors.override(call, ask)
            if override is None:
                raise Refused(Outcome.CASHIER)
            key = f"{request.company}/{request.key}"
            await overrides.use(ask, override, key=key, row=rules.verbs_row)
        return show_payment(await self._payments.pay(request, CardRef(card), _covers_all))

    def _request(self, call: Call) -> Request:
        if call.message.trace == 0:
            raise Refused(Outcome.INVALID)
        partial = call.message.part("partial") == PARTIAL_ACCEPTED
        said = call.said(partial)
        return Request(
            id=self._ids.new(),
            company=call.session.company,
            key="pay/" + call.key,
            mac=self._vault.mac("idempotency", said),
            amount_fen=call.amount_fen,
            currency=call.currency,
            place=call.at(self._merchants),
            reference=label(call.session.terminal, call.message.batch),
            order=call.message.part("order"),
            metadata=_encode(
                Metadata(call.verb, call.message.batch, call.message.trace, call.message.entry)
            ).decode(),
            capture=call.verb is not Verb.HOLD,
            accept_partial=partial,
        )

    def inquire(self, call: Call) -> asyncio.Future[Inquiry]:
        """Ask what a card is worth (P-10). Raises Refused."""
        return self._payments.inquire(call.session.company, call.payable, _covers_none)


def _covers_none(_issuer: str) -> bool:
    """A till names no card by its id."""
    return False


def _covers_all(_issuer: str) -> bool:
    """A supervisor has seen the card."""
    return True


def show_payment(payment: Payment) -> Reply:
    """The answer to a payment or hold."""
    if payment.status == Status.DECLINED:
        return Reply(
            outcomes.of_decline(payment.decline_code, payment.reason),
            rrn=rrn_of(payment.id),
            available_fen=payment.balance_after_fen,
            tries_left=payment.tries_left,
        )
    partial = payment.approved_fen < payment.requested_fen
    return Reply(
        Outcome.PARTIAL if partial else Outcome.OK,
        rrn=rrn_of(payment.id),
        approval=approval_of(payment.id),
        amount_fen=payment.approved_fen,
        available_fen=payment.balance_after_fen,
    )


def show_inquiry(inquiry: Inquiry) -> Reply:
    """The answer to an inquiry: what may be spent; status, limit and last day as private data."""
    if not inquiry.accepted or inquiry.card_status is None:
        told = outcomes.of_decline(Decline.CARD_NOT_ACCEPTED, inquiry.reason)
        return Reply(told, tries_left=inquiry.tries_left)
    expires = (inquiry.expires_on or "").replace("-", "")
    return Reply(
        outcomes.STATUSES[inquiry.card_status],
        available_fen=inquiry.available_fen,
        private=f"{inquiry.card_status[:1].upper()}{inquiry.single_limit_fen:012}{expires:0>8}",
    )


def refusal(failed: BaseException) -> Reply:
    """The answer to what could not be decided."""
    if isinstance(failed, KabaoError):
        return Reply(outcomes.of_error(failed))
    return Reply(Outcome.IN_DOUBT)


def kept_with(payment: Payment) -> Metadata | None:
    """What a till's payment was made with; None if it was made at another door."""
    if payment.channel != CHANNEL:
        return None
    return _decode_metadata(payment.metadata)
