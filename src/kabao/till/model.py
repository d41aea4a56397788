"""What a till says and is told. Amounts in fen; pure."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class UnreachableError(Exception):
    """No host was reached: nothing has happened."""


class PendingError(Exception):
    """Something earlier is not settled and no host answers: nothing new is begun."""


class UploadRefusedError(Exception):
    """The platform is there and does not take this till's offline sales: it sells nothing,
    with or without a line, until somebody has looked. `code` tells why.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class TermsError(Exception):
    """What claims to be offline terms was not signed by the platform for this till."""


class JournalError(Exception):
    """The journal was changed by others, is full, or is used by another process."""


class Outcome(StrEnum):
    """What became of a request, for the cashier."""

    APPROVED = "approved"
    OFFLINE = "offline"
    """Sold without a line, on what the platform allowed beforehand; uploaded later."""
    DECLINED = "declined"
    """An answer that says no; `Result.code` tells why."""
    REFUSED = "refused"
    """The platform could not accept the request; nothing has happened."""
    UNREACHABLE = "unreachable"
    """Nothing was sent: no host was reached."""
    REVERSED = "reversed"
    """The outcome was unknown, and the sale is undone: the customer has paid nothing."""
    PENDING = "pending"
    """The outcome is unknown, and nobody answers: it is settled as soon as somebody does.
    A sale is then undone; nothing must be handed out for it."""
    UNRESOLVED = "unresolved"
    """The platform will not undo it by itself: somebody has to look (`Result.code`)."""


class Result(msgspec.Struct, frozen=True):
    """An answer for the cashier. `id` is the payment's or refund's, once it is known."""

    outcome: Outcome
    key: str
    """The Idempotency-Key of all tries."""
    id: str | None = None
    approved_fen: int = 0
    balance_after_fen: int | None = None
    code: str | None = None
    """Decline code or error code."""
    rule: str | None = None


class Settings(msgspec.Struct, frozen=True):
    """Which till this is, and how patient it is."""

    store: str
    terminal: str
    currency: str = "CNY"
    patience_s: float = 20.0
    """How long one outcome is sought before a sale is reversed (P-17)."""
    reversal_s: float = 10.0
    """How long the cashier waits for that reversal; after that it goes on later."""
    pause_s: float = 0.2
    """Before the first repetition; doubled each time."""
    pause_max_s: float = 2.0
    platform_keys: tuple[bytes, ...] = ()
    """Public keys (64 bytes) whose offline terms this till takes: `kabao receipt key` prints
    the platform's; during a rotation the old one and the new one."""


class Verb(StrEnum):
    """What can be pending."""

    SALE = "sale"
    REFUND = "refund"
    VOID = "void"


class Begun(msgspec.Struct, frozen=True, tag="begun"):
    """About to be sent. A sale's body is not kept: it is reversed by its key alone,
    so no card number or PIN is ever in the journal.
    """

    key: str
    verb: Verb
    path: str
    body: str = ""


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """The outcome is known."""

    result: Result


Entry = Begun | Ended


class Line(msgspec.Struct, frozen=True):
    """What became of an offline sale: paid by the card, lost by its issuer, or refused,
    which the store bears. Amounts in fen.
    """

    sequence: int
    amount: int
    paid: int
    lost: int
    refused: int
    reason: str | None
    reference: str | None
    payment: str | None = None
    """What the card paid, for a refund; also where it could pay nothing."""


class Answer(msgspec.Struct, frozen=True):
    """What of an answer a till reads: of a payment, a refund, a reversal or a problem."""

    id: str | None = None
    status: str | int | None = None
    amount: int = 0
    approved_amount: int = 0
    balance_after: int | None = None
    decline_code: str | None = None
    code: str | None = None
    rule: str | None = None
    data: list[Line] | None = None


FINAL_ALWAYS = frozenset({400, 409, 422})
"""What the same request is told each time: a repetition after a lost success is
given that success, so these mean that nothing has happened."""

ASK_AGAIN = frozenset({408, 425, 429})
IN_FLIGHT = "idempotency_key_in_flight"
"""A 409 of the platform's that says only: not yet."""


def is_final(status: int, answer: Answer, *, doubt: bool) -> bool:
    """Whether an answer ends the question. `doubt`: an earlier try may have had its effect.

    A key that was revoked meanwhile is answered 401, whatever the earlier try did. What
    names neither an id nor a code is not the platform's, but a proxy's or a login page.
    """
    if status < 300:
        return answer.id is not None or answer.data is not None
    if status in ASK_AGAIN or status >= 500 or answer.code in {None, IN_FLIGHT}:
        return False
    return status in FINAL_ALWAYS or not doubt


def result_of(verb: Verb, key: str, status: int, answer: Answer) -> Result:
    """A final answer, for the cashier."""
    if status >= 300:
        return Result(Outcome.REFUSED, key, code=answer.code or str(status), rule=answer.rule)
    declined = verb is Verb.SALE and answer.status == "declined"
    return Result(
        Outcome.DECLINED if declined else Outcome.APPROVED,
        key,
        answer.id,
        answer.amount if verb is Verb.REFUND else answer.approved_amount,
        answer.balance_after,
        answer.decline_code,
        answer.rule,
    )
