"""The ledger's types: accounts, roots, moves, commands, decisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from enum import IntEnum
from typing import Any, Generic, NewType, Protocol, TypeVar

import msgspec

from kabao.base.db import Conn
from kabao.base.errors import Kind, code

RootId = NewType("RootId", str)
OperationId = NewType("OperationId", str)

STALE_ROOT = code("card_changed", Kind.CONFLICT, "The card changed meanwhile; try again.")
DAY_CLOSED = code("day_closed", Kind.CONFLICT, "That business day is closed.")
DAY_NOT_OVER = code("day_not_over", Kind.CONFLICT, "That business day is not over yet.")
BARRED = code("reversed_before", Kind.CONFLICT, "Its reversal came first; it is refused.")
LIMIT_OF_BATCH = code("too_many_roots", Kind.INVALID, "Too many cards in one operation.")


class Account(IntEnum):
    """The chart of accounts (docs/LEDGER.md). Below 10: sub-accounts of a root."""

    PRINCIPAL = 1
    """Paid value, free to spend."""
    BONUS = 2
    """Given value, free to spend."""
    PRINCIPAL_HELD = 3
    BONUS_HELD = 4
    CASH = 10
    """Owner: store. Money taken at, and paid out of, a store's tills."""
    REDEEMED = 11
    """Owner: store. What cards have paid for there: owed to the store."""
    BONUS_COST = 12
    """Owner: issuer. What the issuer has given away."""
    TRANSIT = 13
    """Owner: issuer. Between two cards; zero whenever nothing is under way."""
    PAID_OUT = 14
    """Owner: issuer. Value given back to holders other than in cash."""
    SUSPENSE = 15
    """Owner: issuer. Refunds that fit no card (ruling 19), each with a case."""
    ADJUSTMENT = 16
    """Owner: issuer. Corrections two people approved."""
    LAPSED = 17
    """Owner: issuer. Free bonus that ran out (never paid value)."""
    LOSS = 18
    """Owner: issuer. What tills sold without a line and no card could pay (ruling 10)."""
    COLLECTED = 19
    """Owner: issuer. Money taken through channels, and given back through them."""
    RECEIVABLE = 20
    """Owner: issuer. Loads that were spent before their money was taken back from us."""
    BANK = 21
    """Owner: company. Money in its bank accounts, as the books know it."""
    PAYABLE = 22
    """Owner: store, or a company without one. Settled and to be paid; `issuer` is the debtor."""
    UNDER_WAY = 23
    """Owner: as of PAYABLE. Paid out, and the bank has not answered yet."""
    FEES = 24
    """Owner: issuer. Fees earned from stores."""
    CHANNEL_FEES = 25
    """Owner: issuer. What payment channels kept of what they took."""
    UNMATCHED = 26
    """Owner: issuer. Breaks of reconciliation, in suspense under two persons."""
    CASH_DIFFERENCE = 27
    """Owner: store. Cash that its deposits fell short of, less what was over."""
    NETTING = 28
    """Owner: company. Between claims and payments; zero after every settlement run."""
    SET_OFF = 29
    """Owner: company. What it did not pay because others owed it as much."""
    DISPUTED = 30
    """Owner: issuer. Provisional credits of open disputes."""

    @property
    def of_root(self) -> bool:
        """Whether this is a sub-account of a card."""
        return self < Account.CASH


class Purpose(IntEnum):
    """Why value moved."""

    LOAD = 1
    LOAD_VOID = 2
    BONUS = 3
    BONUS_CLAWBACK = 4
    LOAD_REFUND = 5
    LOAD_HOLD = 6
    LOAD_RELEASE = 7
    RECALL = 8
    PAYMENT = 10
    HOLD = 11
    CAPTURE = 12
    RELEASE = 13
    VOID = 14
    REFUND = 15
    REVERSAL = 16
    TRANSFER = 20
    MERGE = 21
    CASH_OUT = 30
    CARD_RETURN = 31
    BONUS_LAPSE = 32
    ADJUSTMENT = 40
    LOSS = 41
    SETTLE = 50
    FEE = 51
    CASH_SETTLE = 52
    NET = 53
    PAYOUT = 54
    PAYOUT_RETURN = 55
    DEPOSIT = 56
    CASH_DIFFERENCE = 57
    CHANNEL_SETTLE = 58
    CHANNEL_FEE = 59
    UNMATCHED = 60
    CORRECTION = 61
    DISPUTE_CREDIT = 62
    DISPUTE_OUTCOME = 63


class RootState(IntEnum):
    """What a root account may do. The card's life cycle lives in `cards`; this
    is the part that must be exact at the moment money moves.
    """

    INACTIVE = 0
    ACTIVE = 1
    FROZEN = 2
    LOST = 3
    EXPIRED = 4
    CLOSED = 5


class Root(msgspec.Struct, frozen=True, gc=False):
    """A root account as seen under its lock. Amounts in fen, moments in µs UTC."""

    id: str
    card: str
    programme: str
    issuer: str
    currency: str
    state: int
    valid_until: date | None
    principal_fen: int
    bonus_fen: int
    principal_held_fen: int
    bonus_held_fen: int
    seq: int
    event_seq: int
    secret_version: int
    pin_tries: int
    pin_locked_until_us: int
    day: int
    day_count: int
    day_sum_fen: int
    burst_from_us: int
    burst_count: int

    @property
    def available_fen(self) -> int:
        """What can be spent now."""
        return self.principal_fen + self.bonus_fen

    @property
    def held_fen(self) -> int:
        """What open holds have set aside."""
        return self.principal_held_fen + self.bonus_held_fen

    @property
    def balance_fen(self) -> int:
        """Principal and bonus, including what is held."""
        return self.available_fen + self.held_fen


MUTABLE = (
    "card",
    "state",
    "valid_until",
    "principal_fen",
    "bonus_fen",
    "principal_held_fen",
    "bonus_held_fen",
    "seq",
    "event_seq",
    "secret_version",
    "pin_tries",
    "pin_locked_until_us",
    "day",
    "day_count",
    "day_sum_fen",
    "burst_from_us",
    "burst_count",
)
"""The columns of a root that a decision may change, in storing order; `card` first."""

PAYING = (
    "principal_fen",
    "bonus_fen",
    "seq",
    "event_seq",
    "pin_tries",
    "day",
    "day_count",
    "day_sum_fen",
    "burst_from_us",
    "burst_count",
)
"""The few of them that paying changes: a batch of payments stores no others."""


class Moment(msgspec.Struct, frozen=True, gc=False):
    """When a batch decides: the clock's time and the open business day."""

    us: int
    day: date


class Dimensions(msgspec.Struct, frozen=True, gc=False):
    """Where and through whom value moved; part of every transfer."""

    selling_store: str | None = None
    redeeming_store: str | None = None
    terminal: str | None = None
    cashier: str | None = None
    shift: str | None = None
    channel: str | None = None
    occurred_us: int | None = None
    """When it happened outside; None: the moment it was recorded."""


NOWHERE = Dimensions()


class Move(msgspec.Struct, frozen=True, gc=False):
    """One transfer to be: exactly one side or both sides are of the root."""

    debit: Account
    credit: Account
    amount_fen: int
    purpose: Purpose
    house: str | None = None
    """The owner of the house account; None when both sides are of the root."""
    related: str | None = None
    """The operation this one undoes or completes."""


class HouseMove(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One transfer between two house accounts, to be: no card is touched."""

    debit: Account
    debit_owner: str
    credit: Account
    credit_owner: str
    amount_fen: int
    purpose: Purpose
    issuer: str
    """Whose cards or debts it is about."""
    currency: str = "CNY"
    channel: str | None = None
    """The payment channel, where money was taken through one."""
    related: str | None = None
    """What it settles, pays or corrects: an id of the slice that asks."""
    for_date: date | None = None
    """The business day it settles or corrects, when that is not the day it counts for."""

    def __post_init__(self) -> None:
        assert self.amount_fen > 0, "a transfer moves something"
        assert not self.debit.of_root and not self.credit.of_root, "no card is touched"
        assert (self.debit, self.debit_owner) != (self.credit, self.credit_owner), "two accounts"


class Lot(msgspec.Struct, frozen=True, gc=False):
    """One load, kept for ever: refunds, netting and clawback are derived from it."""

    principal_fen: int
    bonus_fen: int
    price_fen: int
    contract_date: date
    selling_store: str | None
    selling_company: str | None
    channel: str
    payer: str | None = None


class HoldState(IntEnum):
    """A hold is open until it is used up, given back or too old."""

    OPEN = 0
    CAPTURED = 1
    RELEASED = 2
    EXPIRED = 3


class Hold(msgspec.Struct, frozen=True, gc=False):
    """Value set aside on a root: what is left of it, by sub-account."""

    id: str
    root: str
    state: int
    principal_fen: int
    bonus_fen: int
    expires_us: int


class Event(msgspec.Struct, frozen=True, gc=False):
    """Something that happened, told in order per root. Payload: a msgspec Struct or dict."""

    type: str
    payload: Any
    version: int = 1


class RowWriter(Protocol):
    """A slice's own set insert or update, run inside the batch's transaction.

    `conn` is a `Statements`, so that a lane can gather it with others; a writer
    of cold commands only may ask for a whole `Conn`.
    """

    async def __call__(self, conn: Any, rows: Sequence[Any]) -> None:
        """Store all rows with one statement."""
        ...


class Loader(Protocol):
    """A slice's own set read, run after the roots are locked."""

    async def __call__(self, conn: Conn, wanted: Sequence[Any]) -> Mapping[Any, Any]:
        """Read all wanted rows with one statement, by key."""
        ...


class Decision(msgspec.Struct, frozen=True):
    """What a command decided under the lock. A refusal is a decision as well."""

    result: Any
    """The answer, a msgspec Struct."""
    kept: Any = None
    """What is kept with the operation for `recall`; None: the result itself."""
    moves: tuple[Move, ...] = ()
    set: Mapping[str, Any] | None = None
    """Other fields of the root to change (state, tries, counters)."""
    lot: Lot | None = None
    holds: tuple[Hold, ...] = ()
    """Holds as they are to be from now on."""
    rows: tuple[tuple[RowWriter, Any], ...] = ()
    events: tuple[Event, ...] = ()
    loaded: Any = None
    """What the loader's answer is from now on, for later items of the same batch."""
    remember: bool = True
    """False: the operation itself is not kept (a balance told; a card that changed meanwhile)."""


R_co = TypeVar("R_co", covariant=True)


class Command(Protocol, Generic[R_co]):
    """What a slice asks of the ledger. `decide` is pure: it sees the locked root
    (None when there is none), the moment and what its loader found.
    """

    @property
    def company(self) -> str:
        """Whose key it is (scope of idempotency)."""
        ...

    @property
    def key(self) -> str:
        """The operation's key, the verb included: `pay/…`. Empty: not idempotent."""
        ...

    @property
    def mac(self) -> bytes:
        """Keyed MAC of the parsed request."""
        ...

    @property
    def operation(self) -> str:
        """The id this operation has if it turns out to be new."""
        ...

    @property
    def root(self) -> str | None:
        """The root to lock, or None."""
        ...

    @property
    def dims(self) -> Dimensions:
        """Dimensions of its transfers."""
        ...

    @property
    def loader(self) -> Loader | None:
        """How to read what `decide` needs besides the root."""
        ...

    @property
    def always_kept(self) -> bool:
        """See `CommandBase.always_kept`."""
        ...

    @property
    def wanted(self) -> Any:
        """The key to give to the loader; also the key of its answer."""
        ...

    def decide(self, root: Root | None, moment: Moment, loaded: Any) -> Decision:
        """Pure. Raises KabaoError to refuse without leaving a trace."""
        ...

    def decide_late(self, moment: Moment) -> Decision:
        """Pure. The answer to an original that comes after its reversal."""
        ...

    def recall(self, result: bytes) -> R_co:
        """The first answer again, from what was stored."""
        ...


class CommandBase(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a command, for slices to inherit; `decide` and `recall` are theirs."""

    company: str
    operation: str
    key: str = ""
    mac: bytes = b""
    root: str | None = None
    dims: Dimensions = NOWHERE
    loader: Loader | None = None
    wanted: Any = None

    @property
    def always_kept(self) -> bool:
        """Whether every decision ends in a kept operation. Then a repetition is
        found by the unique key, and its key need not be read beforehand.
        """
        return False

    def decide_late(self, moment: Moment) -> Decision:
        """Refused, unless the slice has an answer to keep."""
        raise BARRED.error(rule="P-19")

    def recall(self, result: bytes) -> Any:
        """As plain data, unless the slice knows better."""
        return msgspec.json.decode(result)


class OperationState(IntEnum):
    """An operation was answered, or is barred by a reversal that came first."""

    ANSWERED = 0
    TOMBSTONE = 1


class Operation(msgspec.Struct, frozen=True, gc=False):
    """A stored operation."""

    company: str
    key: str
    id: str
    root: str | None
    mac: bytes
    state: int
    result: str


class NewRoot(msgspec.Struct, frozen=True):
    """A root account to open, empty."""

    id: str
    card: str
    programme: str
    issuer: str
    currency: str
    state: RootState
    valid_until: date | None = None


class Transfer(msgspec.Struct, frozen=True, gc=False):
    """A stored transfer. Moments are µs UTC."""

    root: str
    seq: int
    op: str
    related: str | None
    debit: int
    credit: int
    house: str | None
    amount_fen: int
    currency: str
    principal_after_fen: int
    bonus_after_fen: int
    held_after_fen: int
    purpose: int
    issuer: str
    selling_store: str | None
    redeeming_store: str | None
    terminal: str | None
    cashier: str | None
    shift: str | None
    channel: str | None
    occurred_us: int
    recorded_us: int
    business_date: date


class HouseTransfer(msgspec.Struct, frozen=True, gc=False):
    """A stored transfer between house accounts; `no` counts them 1, 2, 3 …"""

    no: int
    op: str
    debit: int
    debit_owner: str
    credit: int
    credit_owner: str
    amount_fen: int
    currency: str
    purpose: int
    issuer: str
    channel: str | None
    related: str | None
    for_date: date | None
    recorded_us: int
    business_date: date


class Balances(msgspec.Struct, frozen=True):
    """A root's balances at some moment; held: principal and bonus together."""

    principal_fen: int = 0
    bonus_fen: int = 0
    held_fen: int = 0


class HouseBalance(msgspec.Struct, frozen=True):
    """What a house account has been debited and credited."""

    account: int
    owner: str
    currency: str
    debit_fen: int
    credit_fen: int


class Cut(msgspec.Struct, frozen=True):
    """The edge of a window: how far each writer, and the journal of the house, had come."""

    at_us: int
    writers: dict[int, int]
    """Writer to the number of its last batch."""
    house_no: int = 0


class Flow(msgspec.Struct, frozen=True, gc=False):
    """What went one way on a house account in a window. Amounts in fen.

    A transfer between two house accounts is in two flows, once on each side. Selling and
    redeeming store are those of the card's transfer (of a payment: where it was spent).
    """

    issuer: str
    selling_store: str | None
    redeeming_store: str | None
    account: int
    owner: str
    purpose: int
    currency: str
    channel: str | None
    debit_fen: int
    credit_fen: int
    operations: int
    transfers: int


class Redemption(msgspec.Struct, frozen=True, gc=False):
    """How many operations of one purpose moved one amount at a store in a window."""

    issuer: str
    redeeming_store: str
    currency: str
    purpose: int
    given_back: bool
    """False: the store is owed it; True: it gave it back (void, refund, reversal)."""
    amount_fen: int
    count: int


class PaymentStep(msgspec.Struct, frozen=True, gc=False, order=True):
    """So many payments went from one amount to another in one operation: paid, captured,
    given back in part. Before it was paid, a payment is nothing.
    """

    issuer: str
    store: str
    currency: str
    paid_on: date
    """The business day on which the store was first owed it."""
    before_fen: int
    after_fen: int
    count: int
    undone: bool = False
    """It was a void or a reversal: what it undid is as if it had never been."""


class FlowFilter(msgspec.Struct, frozen=True, kw_only=True):
    """The way a flow went. None: any."""

    account: int | None = None
    owner: str | None = None
    issuer: str | None = None
    selling_store: str | None = None
    redeeming_store: str | None = None
    purposes: tuple[int, ...] | None = None
    currency: str | None = None
    channel: str | None = None


class Act(CommandBase, frozen=True, kw_only=True):
    """A command made of a pure function: for cold operations through `post_in`.

    Its key is its own id: the door it came through keeps idempotency.
    """

    run: Callable[[Root | None, Moment], Decision]

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "key", f"act/{self.operation}")

    def decide(self, root: Root | None, moment: Moment, loaded: Any) -> Decision:
        """Run the function."""
        del loaded
        return self.run(root, moment)
