"""A message with all that is known of who sent it."""

from __future__ import annotations

import re

from kabao.base.db import Conn
from kabao.cards.claims import By
from kabao.cards.model import Barcode, CardNumber, Source, Track
from kabao.edges.iso8583.ciphers import read_pin
from kabao.edges.iso8583.model import Outcome, Verb
from kabao.edges.iso8583.reading import Message, number
from kabao.edges.iso8583.sessions import Keys, Session
from kabao.edges.iso8583.spec import Security
from kabao.merchants.ops import Merchants
from kabao.paycodes.model import CODE_DIGITS, Payable, PayCode
from kabao.payments.model import Place

CHANNEL = "pos"
PAGE = 200
"""Cashiers of one store."""

NOBODY = "0" * 19

NO_PIN = "0000"
"""Where a card is named by its number alone: nothing is proved by it."""

_PAY_CODE = re.compile(f"[0-9]{{{CODE_DIGITS}}}")
_BARCODE = re.compile("988([0-9]{12,19})[0-9]{10}")


class Refused(Exception):  # noqa: N818 - an answer, not a failure
    """Raised inside a verb: the answer is this outcome and nothing has happened."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class Call:
    """A message whose MAC was right, from a terminal that is signed in."""

    def __init__(
        self, message: Message, session: Session, keys: Keys, security: Security, verb: Verb
    ) -> None:
        self.message, self.session, self.keys, self.verb = message, session, keys, verb
        self._security = security

    @property
    def place(self) -> tuple[str, int, int]:
        """Terminal, batch, trace: what makes this message one of its kind."""
        return self.session.terminal, self.message.batch, self.message.trace

    @property
    def key(self) -> str:
        """The place as part of an Idempotency-Key."""
        return key_of(*self.place)

    @property
    def original(self) -> tuple[str, int, int]:
        """The place of the message that this one is about; in this batch if it names none."""
        message = self.message
        batch = number(message.part("original_batch")) or self.session.batch
        return self.session.terminal, batch, number(message.part("original_trace"))

    def at(self, merchants: Merchants, store: str | None = None) -> Place:
        """This till with its cashier and the shift that counts it; `store`: whose books
        it stands in, if not the till's own.
        """
        session = self.session
        shift = merchants.open_shift(session.cashier) if session.cashier else None
        return Place(
            store or session.store,
            session.terminal,
            session.cashier,
            shift.id if shift is not None else None,
            channel=CHANNEL,
        )

    @property
    def amount_fen(self) -> int:
        """Raises Refused where none was said."""
        amount = self.message.amount_fen
        if not amount:
            raise Refused(Outcome.BAD_AMOUNT)
        return amount

    @property
    def currency(self) -> str:
        """Raises Refused for a currency nobody knows."""
        currency = self.message.currency
        if currency is None:
            raise Refused(Outcome.BAD_AMOUNT)
        return currency

    @property
    def payable(self) -> Payable:
        """What the customer showed to pay with: a card, or a pay code. Raises Refused."""
        scanned = self._scanned
        return PayCode(scanned) if _PAY_CODE.fullmatch(scanned) else self.source

    @property
    def _scanned(self) -> str:
        return self.message.part("scanned") or _ascii(self.message.raw("scanned"))

    @property
    def source(self) -> Source:
        """The card that the customer showed. Raises Refused where it cannot be enough."""
        message = self.message
        if scanned := self._scanned:
            return Barcode(scanned)
        if track2 := message.part("track2"):
            return Track(track2, self._pin(track2.partition("D")[0]))
        if not (pan := message.part("pan")):
            raise Refused(Outcome.NO_CARD)
        pin = self._pin(pan)
        if pin is None:
            raise Refused(Outcome.PIN_REQUIRED)
        return CardNumber(pan, pin)

    @property
    def is_typed_alone(self) -> bool:
        """Whether a typed number came without its PIN, but with a supervisor's."""
        message = self.message
        if self._scanned or message.part("track2") or message.raw(self._security.pin_block):
            return False
        return bool(message.part("pan") and message.part("cashier") and message.raw("private"))

    def _pin(self, pan: str) -> str | None:
        """The PIN that came, if one did. Raises Refused for a block that holds none."""
        block = self.message.raw(self._security.pin_block)
        if not block:
            return None
        pin = read_pin(self.keys.pik, block, pan)
        if pin is None:
            raise Refused(Outcome.WRONG_PIN)
        return pin

    @property
    def named(self) -> str:
        """The number of the card, whatever else was shown. Raises Refused."""
        message = self.message
        if scanned := self._scanned:
            found = _BARCODE.fullmatch(scanned)
            return found[1] if found is not None else NOBODY
        number = message.part("track2").partition("D")[0] or message.part("pan")
        if not number:
            raise Refused(Outcome.NO_CARD)
        return number

    def second_pin(self, pan: str, block: bytes) -> str:
        """Another PIN in a block of its own. Raises Refused."""
        pin = read_pin(self.keys.pik, block, pan)
        if pin is None:
            raise Refused(Outcome.WRONG_PIN)
        return pin

    def said(self, *more: object) -> bytes:
        """What must be the same whenever this message comes again; no secret is in it."""
        message = self.message
        shown = self._scanned or message.part("track2").partition("D")[0] or message.part("pan")
        words = (self.verb, shown, self.message.amount_fen, self.message.currency, *more)
        return "|".join(map(str, words)).encode()

    @property
    def by(self) -> By:
        """Who does it, for the life of a card."""
        session = self.session
        return By(
            actor=session.terminal,
            company=session.company,
            store=session.store,
            terminal=session.terminal,
            cashier=session.cashier,
            channel=CHANNEL,
        )


def key_of(terminal: str, batch: int, trace: int) -> str:
    """One message of one terminal in one batch, for ever."""
    return f"p.{terminal}.{batch:06}.{trace:06}"


def label(terminal: str, batch: int) -> str:
    """The reference of all payments of one batch."""
    return f"pos.{terminal}.{batch:06}"


def _ascii(data: bytes) -> str:
    return data.decode("ascii", "ignore")


async def cashier_by_code(conn: Conn, merchants: Merchants, store: str, code: str) -> str | None:
    """A cashier who works in a store, by the code a till knows."""
    cashiers = await merchants.list_cashiers(conn, stores=[store], after=None, limit=PAGE)
    return next((c.id for c in cashiers if c.code == code and c.is_active), None)
