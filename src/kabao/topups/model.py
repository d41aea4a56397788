"""What a top-up is, and its rules: pure, on a locked root. Amounts in fen."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from kabao.base.errors import Code, KabaoError, Kind, code
from kabao.cards.limits import SECRET_NOT_ACCEPTED, judge_secret, limit_after_credit
from kabao.cards.model import CardClass, Proof, Resolved
from kabao.ledger.lots import Derived
from kabao.ledger.model import (
    STALE_ROOT,
    Account,
    CommandBase,
    Decision,
    Event,
    Lot,
    Moment,
    Move,
    Purpose,
    Root,
    RootState,
    RowWriter,
)
from kabao.merchants.model import OVERRIDE_NEEDED
from kabao.policy import names
from kabao.policy.choices import VoidWindow
from kabao.policy.model import Rules

TOPUP_STOPPED = code("topup_stopped", Kind.REFUSED, "Top-ups are switched off.")
CARD_CANNOT_LOAD = code("card_cannot_be_loaded", Kind.REFUSED, "The card cannot be loaded now.")
AMOUNT_OUT_OF_RANGE = code("amount_out_of_range", Kind.REFUSED, "A top-up may not be that large.")
NEEDS_TRANSFER = code(
    "bank_transfer_needed", Kind.REFUSED, "A sum like this must come by bank transfer."
)
ALREADY_VOIDED = code("topup_already_voided", Kind.CONFLICT, "The top-up was voided before.")
SPENT = code("topup_already_spent", Kind.REFUSED, "Part of the top-up was spent or is held.")
VOID_TOO_LATE = code("topup_void_too_late", Kind.REFUSED, "The top-up cannot be voided any more.")


class Status(StrEnum):
    """Cash is there when it is counted: confirmed at once (T-20)."""

    CONFIRMED = "confirmed"
    VOIDED = "voided"


class TopUp(msgspec.Struct, frozen=True):
    """A top-up as stored."""

    id: str
    company: str
    root: str
    card: str
    last4: str
    store: str
    terminal: str | None
    cashier: str | None
    shift: str | None
    channel: str
    reference: str | None
    amount_fen: int
    currency: str
    status: str
    balance_after_fen: int
    confirmed_by: str | None
    """The supervisor who allowed a void."""
    created_us: int
    day: int


class Refused(msgspec.Struct, frozen=True):
    """A refusal that is kept: a wrong secret was counted, and is not counted again
    when the same request is repeated. A card nobody has costs the same.
    """

    code: str = ""


class Told(msgspec.Struct, frozen=True):
    """What an event tells of a top-up."""

    topup: str
    card: str
    store: str
    amount: int
    currency: str
    balance_after: int


class Known(msgspec.Struct, frozen=True):
    """What a void must see under the lock: the top-up, and what is left of its lot."""

    topup: TopUp
    derived: Derived
    seq: int
    """The root's last transfer that the derivation has seen."""


def check_amount(rules: Rules, amount_fen: int, *, by_unit: bool) -> None:
    """Policy's bounds on one cash top-up (L-14, CR-09). Raises the rule that refuses."""
    low, high = names.TOPUP_SINGLE_MIN_FEN, names.TOPUP_SINGLE_MAX_FEN
    cash = names.TOPUP_CASH_MAX_FEN
    if amount_fen < rules.int(low):
        raise AMOUNT_OUT_OF_RANGE.error(
            f"At least {rules.int(low)} fen.", rule=rules.row(low), field="amount"
        )
    for name in (high, cash):
        if amount_fen > rules.int(name):
            raise AMOUNT_OUT_OF_RANGE.error(
                f"At most {rules.int(name)} fen.", rule=rules.row(name), field="amount"
            )
    threshold = (
        names.PURCHASE_TRANSFER_UNIT_FROM_FEN
        if by_unit
        else names.PURCHASE_TRANSFER_PERSON_FROM_FEN
    )
    if amount_fen >= rules.int(threshold):
        raise NEEDS_TRANSFER.error(rule=rules.row(threshold), field="amount")


class Loading(msgspec.Struct, frozen=True):
    """A top-up to be, and what was known of its card before the lock."""

    topup: TopUp
    source: Resolved
    rules: Rules
    card_class: CardClass
    selling_company: str
    payer: str | None
    refused: KabaoError | None
    """What forbids this top-up whatever the card's state: told after the right secret only."""


class Load(CommandBase, frozen=True, kw_only=True):
    """Load a card with cash."""

    loading: Loading | None
    """None exactly when the card is unknown."""
    insert: RowWriter

    def recall(self, result: bytes) -> TopUp | Refused:
        """The first answer again."""
        refused = msgspec.json.decode(result, type=Refused)
        return refused if refused.code else msgspec.json.decode(result, type=TopUp)

    def decide(self, root: Root | None, moment: Moment, loaded: Any) -> Decision:
        """Under the lock: the secret, the state, the limit after credit."""
        del loaded
        loading = self.loading
        if root is None or loading is None or not _is_current(root, loading.source):
            return Decision(result=NOT_ACCEPTED)
        source = loading.source
        counters: dict[str, int] = {}
        if source.proof != Proof.SCOPE:
            judged = judge_secret(
                root, source.proof, loading.rules, moment, pin_proved=source.pin_proved
            )
            counters = judged.set
            if not judged.accepted or root.state == RootState.INACTIVE:
                return Decision(result=NOT_ACCEPTED, set=counters or None)
        if root.state != RootState.ACTIVE or (
            root.valid_until is not None and moment.day > root.valid_until
        ):
            raise CARD_CANNOT_LOAD.error(rule="P-10")
        if loading.refused is not None:
            raise loading.refused
        balance_fen = root.balance_fen + loading.topup.amount_fen
        over = limit_after_credit(loading.rules, loading.card_class, balance_fen)
        if over is not None:
            raise over
        return self._loaded(loading, root, moment, counters)

    def _loaded(
        self, loading: Loading, root: Root, moment: Moment, counters: dict[str, int]
    ) -> Decision:
        topup, amount = loading.topup, loading.topup.amount_fen
        after = msgspec.structs.replace(
            topup,
            balance_after_fen=root.available_fen + amount,
            created_us=moment.us,
            day=moment.day.toordinal(),
        )
        return Decision(
            result=after,
            moves=(Move(Account.CASH, Account.PRINCIPAL, amount, Purpose.LOAD, topup.store),),
            set=counters or None,
            lot=Lot(
                amount,
                0,
                amount,
                moment.day,
                topup.store,
                loading.selling_company,
                topup.channel,
                loading.payer,
            ),
            rows=((self.insert, after),),
            events=(Event("topup.confirmed", told(after)),),
        )


def _is_current(root: Root, source: Resolved) -> bool:
    """Whether the card is as it was looked up; one named by id showed no secret."""
    unchanged = source.proof == Proof.SCOPE or root.secret_version == source.secret_version
    return root.card == source.card and unchanged


class Void(CommandBase, frozen=True, kw_only=True):
    """Undo a top-up: exactly its lot, and only while all of it is there."""

    topup: str
    shift: str | None
    supervisor: str | None
    """Who has allowed it with a PIN, if anybody has."""
    rules: Rules
    update: RowWriter
    unheard: bool = False
    """A till reverses what it never heard of: no window, no supervisor."""

    def recall(self, result: bytes) -> Any:
        """The first answer again."""
        return msgspec.json.decode(result, type=TopUp)

    def decide(self, root: Root | None, moment: Moment, loaded: Known) -> Decision:
        """Under the lock: the window, the supervisor, and that nothing is spent."""
        assert root is not None
        topup = loaded.topup
        if topup.status == Status.VOIDED:
            raise ALREADY_VOIDED.error()
        if not self.unheard:
            self._check_window(topup, moment)
            self._check_supervisor(topup)
        if loaded.seq != root.seq:
            raise STALE_ROOT.error()  # something of the same batch has just moved this card's value
        left = next((one.principal_fen for one in loaded.derived.left if one.lot.op == topup.id), 0)
        if left < topup.amount_fen or root.principal_fen < topup.amount_fen:
            raise SPENT.error(rule=self.rules.row(names.TOPUP_VOID_UNSPENT_ONLY))
        after = msgspec.structs.replace(
            topup,
            status=Status.VOIDED,
            confirmed_by=self.supervisor,
            balance_after_fen=root.available_fen - topup.amount_fen,
        )
        return Decision(
            result=after,
            moves=(
                Move(
                    Account.PRINCIPAL,
                    Account.CASH,
                    topup.amount_fen,
                    Purpose.LOAD_VOID,
                    topup.store,
                    topup.id,
                ),
            ),
            rows=((self.update, after),),
            events=(Event("topup.voided", told(after)),),
            loaded=msgspec.structs.replace(loaded, topup=after),
        )

    def _check_supervisor(self, topup: TopUp) -> None:
        name = names.TOPUP_VOID_NEEDS_SUPERVISOR
        if self.rules.flag(name) and self.supervisor in {None, topup.cashier}:
            raise OVERRIDE_NEEDED.error(rule=self.rules.row(name), field="override")

    def _check_window(self, topup: TopUp, moment: Moment) -> None:
        name = names.TOPUP_VOID_WINDOW
        match VoidWindow(self.rules.text(name)):
            case VoidWindow.SAME_SHIFT:
                inside = topup.shift is not None and topup.shift == self.shift
            case VoidWindow.SAME_BUSINESS_DAY:
                inside = topup.day == moment.day.toordinal()
        if not inside:
            raise VOID_TOO_LATE.error(rule=self.rules.row(name))


def told(topup: TopUp) -> Told:
    """What an event tells of a top-up."""
    return Told(
        topup.id,
        topup.card,
        topup.store,
        topup.amount_fen,
        topup.currency,
        topup.balance_after_fen,
    )


NOT_ACCEPTED = Refused(SECRET_NOT_ACCEPTED.name)

REFUSALS: dict[str, Code] = {SECRET_NOT_ACCEPTED.name: SECRET_NOT_ACCEPTED}
"""Refusals that are kept, by name."""
