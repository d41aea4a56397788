"""What is asked of a channel, and everything it may say. Amounts in fen, times in microseconds.

An outcome that is not known is a value, `Unknown`; so is a channel that certainly heard
nothing, `Unreachable`. The difference decides whether another channel may be tried (S-16).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum

import msgspec


class Scene(StrEnum):
    """How the payer meets the order."""

    PAGE = "page"  # a browser is sent to the channel
    QR = "qr"  # the payer scans a code that we show
    CODE = "code"  # we scan a code that the payer shows
    APP = "app"  # inside the channel's own app (JSAPI, mini program)
    TRANSFER = "transfer"  # the payer transfers from their bank to an account that we show
    TERMINAL = "terminal"  # a card at the acquirer's own terminal; a cashier records its slip


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel is asked to collect."""

    no: str
    """Ours, 32 hex characters: the order's id."""
    scene: Scene
    amount_fen: int
    subject: str
    """What the payer reads."""
    created_us: int
    """Some channels know an order only by its number and this moment together."""
    expires_us: int
    notify_url: str
    return_url: str | None = None
    terminal: str | None = None
    no_credit: bool = False
    """Credit cards and pay-later are to be barred (the channel is asked to)."""


class Slip(msgspec.Struct, frozen=True):
    """What the acquirer's own terminal printed, `Scene.TERMINAL`."""

    terminal: str
    """The acquirer's number of the terminal, 8 digits."""
    reference: str
    """The acquirer's number of the sale, 12 digits (检索参考号)."""
    auth_code: str
    """The issuer's, 6 letters or digits (授权号)."""


class Payer(msgspec.Struct, frozen=True):
    """What identifies the payer for some scenes; a secret for the minute it is good for."""

    code: str | None = None
    """Scanned at the till, `Scene.CODE`."""
    openid: str | None = None
    """Who the payer is inside the channel's app, `Scene.APP`."""
    bank: str | None = None
    """Which bank's page they want, where a channel leads to several."""
    slip: Slip | None = None

    def __repr__(self) -> str:
        return "Payer(…)"


class Refund(msgspec.Struct, frozen=True):
    """What is to go back. The same number asked twice is one refund."""

    no: str
    amount_fen: int
    order_fen: int
    """What the whole order was; channels ask for it."""
    channel_no: str
    """The channel's number of the payment."""
    created_us: int
    reason: str


class Show(StrEnum):
    """What is to be done with what a channel gave for the payer."""

    QR = "qr"  # draw `text` as a QR code
    REDIRECT = "redirect"  # send the browser to `text`
    FORM = "form"  # post `fields` to `text` from the browser
    APP = "app"  # hand `fields` to the channel's app
    ACCOUNT = "account"  # let the payer transfer to the account in `fields`


class Waiting(msgspec.Struct, frozen=True, tag=True):
    """The channel has it and waits: for the payer, or with a refund for itself."""

    show: Show | None = None
    text: str = ""
    fields: Mapping[str, str] = {}


TRANSFERRED = "transfer"
"""`Paid.funds` of what came from an account at a bank: `Paid.payer` is the account's name."""


class Paid(msgspec.Struct, frozen=True, tag=True):
    """Paid, says the channel and signed it."""

    channel_no: str
    amount_fen: int
    paid_us: int
    payer: str = ""
    """The channel's name for the payer; personal data."""
    funds: str = ""
    """What it was paid from, in the channel's words."""
    given_back: bool = False
    """Some or all of it has gone back since."""
    payer_id: str = ""
    """By which the channel tells payers apart; personal data. Empty where what it tells is
    shared by several, as masked numbers and names are."""


class Closed(msgspec.Struct, frozen=True, tag=True):
    """Nothing will come any more."""

    given_back: bool = False
    """It had been paid, and the channel paid it back when it closed it."""


class NotThere(msgspec.Struct, frozen=True, tag=True):
    """The channel knows no such order or refund. It may still be on its way."""


class Whose(StrEnum):
    """Whose doing a refusal is: only the channel's own speaks against it (T-22)."""

    CHANNEL = "channel"  # it does not work, or our account there does not
    PAYER = "payer"  # no money, no will, a used code, a limit of theirs
    OURS = "ours"  # we know better than to ask; the channel never heard of it


class Refused(msgspec.Struct, frozen=True, tag=True):
    """A final no; nothing moved."""

    code: str
    """The channel's own."""
    text: str = ""
    whose: Whose = Whose.CHANNEL


class Refunded(msgspec.Struct, frozen=True, tag=True):
    """It is back with the payer."""

    amount_fen: int


class Unreachable(msgspec.Struct, frozen=True, tag=True):
    """Not a byte of it got out: nothing happened, another channel may be tried."""

    reason: str
    ours: bool = False
    """We had no connection free, which says nothing of the channel."""


class Unknown(msgspec.Struct, frozen=True, tag=True):
    """It may have happened. Only the channel can tell, later."""

    reason: str


Created = Waiting | Paid | Refused | Unreachable | Unknown
"""What comes of asking for an order."""

Queried = Waiting | Paid | Closed | NotThere | Refused | Unreachable | Unknown
"""What comes of asking about an order, or of closing it."""

RefundAnswer = Refunded | Waiting | Refused | NotThere | Unreachable | Unknown
"""What comes of asking for a refund, or about it."""


class Why(StrEnum):
    """Why a notification is not believed."""

    UNREADABLE = "unreadable"
    UNSIGNED = "unsigned"
    FORGED = "forged"
    STALE = "stale"  # only where the time of sending is signed
    WRONG_KEY = "wrong_key"
    WRONG_APP = "wrong_app"
    WRONG_MERCHANT = "wrong_merchant"
    WRONG_AMOUNT = "wrong_amount"
    WRONG_CURRENCY = "wrong_currency"


class Incoming(msgspec.Struct, frozen=True):
    """A request to our notification address, as it came; header names in lower case."""

    headers: Mapping[str, str]
    body: bytes
    peer: str = ""
    """The address it came from."""


class Notice(msgspec.Struct, frozen=True):
    """A notification that is the channel's, for this merchant and app."""

    order_no: str
    """Empty where a channel names nothing but the refund."""
    about: Paid | Closed | RefundNews | Recalled
    nonce: str | None = None
    """Where each sending has one: to be taken once, in the transaction of its effect."""


class RefundNews(msgspec.Struct, frozen=True, tag=True):
    """A notification about a refund."""

    no: str
    answer: Refunded | Refused | Waiting


class Recalled(msgspec.Struct, frozen=True, tag=True):
    """The channel takes back what it had paid us: a charge-back, or its own reversal."""

    no: str
    """The channel's number of the recall; told again, it is the same one."""
    channel_no: str
    """Of the payment."""
    amount_fen: int
    reason: str


class Rejected(msgspec.Struct, frozen=True):
    """A notification that changes nothing."""

    why: Why
    order_no: str | None = None
    """Known only where the signature held: then it becomes a case of that order."""


class Reply(msgspec.Struct, frozen=True):
    """What the channel expects to hear of its notification."""

    status: int
    content_type: str
    body: bytes


def check(notice: Notice, order: Order) -> Notice | Rejected:
    """A notice against the order it speaks of: another amount is refused, and a case."""
    if isinstance(notice.about, Paid) and notice.about.amount_fen != order.amount_fen:
        return Rejected(Why.WRONG_AMOUNT, notice.order_no)
    return notice


class LineKind(StrEnum):
    """What a line of a bill tells."""

    PAYMENT = "payment"
    REFUND = "refund"
    RECALL = "recall"  # the channel took a payment back
    RETURN = "return"  # a refund came back: its account is closed or not theirs


class BillLine(msgspec.Struct, frozen=True):
    """One line of a channel's bill."""

    kind: LineKind
    order_no: str
    refund_no: str | None
    channel_no: str
    amount_fen: int
    """Never negative; the kind says which way."""
    fee_mfen: int
    """The channel's fee in thousandths of a fen; negative where a refund returns it."""
    at_us: int


class Bill(msgspec.Struct, frozen=True):
    """A channel's bill of a day, whole: its own totals were counted again."""

    day: date
    lines: tuple[BillLine, ...]


class NoBill(msgspec.Struct, frozen=True, tag=True):
    """Nothing to download: none yet, or nothing was sold that day."""

    reason: str


class SpoiltBill(msgspec.Struct, frozen=True, tag=True):
    """Truncated, altered or in a form we do not know: to be fetched again, then a case."""

    reason: str


class Fetched(msgspec.Struct, frozen=True, tag=True):
    """The file of a bill is here, as the channel made it; nothing of it was read yet."""


BillFile = Fetched | NoBill | SpoiltBill | Refused | Unreachable | Unknown

BillAnswer = Bill | NoBill | SpoiltBill | Refused | Unreachable | Unknown


class Capabilities(msgspec.Struct, frozen=True):
    """What a channel can do."""

    scenes: frozenset[Scene]
    no_credit: bool
    """Whether it can be told to bar credit."""
    closes: bool
    """Whether an unpaid order can be closed before its time is over."""
    reverses_paid: frozenset[Scene]
    """Scenes in which closing an order pays back what was paid."""
    notice_age_signed: bool
    """Whether a notification's time of sending is signed, so that old ones can be refused."""
    foreign: bool = False
    """Whether its payers' cards are Visa's and MasterCard's, which programmes switch on."""
    bill_ends_hour: int = 24
    """When a day of its bills ends, in Shanghai; what comes later is in the next day's."""
    recorded: bool = False
    """Whether a payment is what a cashier recorded: believed, and matched with a file later."""
