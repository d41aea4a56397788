"""Undoing a cash top-up whole, in its shift: decided on the locked root. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from kabao.base.errors import Kind, code
from kabao.ledger.lots import Derived, LotLeft
from kabao.ledger.model import (
    STALE_ROOT,
    Account,
    CommandBase,
    Decision,
    Event,
    Moment,
    Move,
    Purpose,
    Root,
    RowWriter,
)
from kabao.merchants.model import OVERRIDE_NEEDED
from kabao.policy import names
from kabao.policy.choices import VoidWindow
from kabao.policy.model import Rules
from kabao.topups.model.bonus import Returned
from kabao.topups.model.loading import invoiceable
from kabao.topups.model.topup import Status, TopUp, told

ALREADY_VOIDED = code("topup_already_voided", Kind.CONFLICT, "The top-up was voided before.")
SPENT = code("topup_already_spent", Kind.REFUSED, "Part of the top-up was spent or is held.")
VOID_TOO_LATE = code("topup_void_too_late", Kind.REFUSED, "The top-up cannot be voided any more.")
NOT_CASH = code(
    "topup_not_cash", Kind.CONFLICT, "Only cash is voided; a channel's money is refunded."
)


class Known(msgspec.Struct, frozen=True):
    """What a void must see under the lock: the top-up, and what is left of its lot."""

    topup: TopUp
    derived: Derived
    seq: int
    """The root's last transfer that the derivation has seen."""


class Void(CommandBase, frozen=True, kw_only=True):
    """Undo a top-up: exactly its lot, and only while all of it is there."""

    topup: str
    shift: str | None
    supervisor: str | None
    """Who has allowed it with a PIN, if anybody has."""
    rules: Rules
    update: RowWriter
    take_back: RowWriter | None = None
    """Gives bonus back to its budget."""
    unheard: bool = False
    """A till reverses what it never heard of: no window, no supervisor."""

    def recall(self, result: bytes) -> Any:
        """The first answer again."""
        return msgspec.json.decode(result, type=TopUp)

    def decide(self, root: Root | None, moment: Moment, loaded: Known) -> Decision:
        """Under the lock: the window, the supervisor, and that nothing is spent."""
        assert root is not None
        topup = loaded.topup
        if not topup.is_cash:
            raise NOT_CASH.error()
        if topup.status == Status.VOIDED:
            raise ALREADY_VOIDED.error()
        if not self.unheard:
            self._check_window(topup, moment)
            self._check_supervisor(topup)
        if loaded.seq != root.seq:
            raise STALE_ROOT.error()  # something of the same batch has just moved this card's value
        left = left_of(loaded.derived, topup.id)
        self._check_whole(topup, root, left)
        after = msgspec.structs.replace(
            topup,
            status=Status.VOIDED,
            confirmed_by=self.supervisor,
            clawed_fen=topup.bonus_fen,
            balance_after_fen=root.available_fen - topup.amount_fen - topup.bonus_fen,
        )
        return Decision(
            result=after,
            moves=_back(topup, root),
            rows=((self.update, after), *self._returned(after)),
            events=(Event("topup.voided", told(after)), self._uninvoiced(after, root, left)),
            loaded=msgspec.structs.replace(loaded, topup=after),
        )

    def _check_whole(self, topup: TopUp, root: Root, left: LotLeft | None) -> None:
        whole = left is not None and (
            left.principal_fen >= topup.amount_fen
            and left.bonus_fen >= topup.bonus_fen
            and root.principal_fen >= topup.amount_fen
            and root.bonus_fen >= topup.bonus_fen
        )
        if not whole:
            raise SPENT.error(rule=self.rules.row(names.TOPUP_VOID_UNSPENT_ONLY))

    def _returned(self, topup: TopUp) -> tuple[tuple[RowWriter, Returned], ...]:
        if not topup.bonus_fen:
            return ()
        assert self.take_back is not None, "a budget takes it back"
        return ((self.take_back, Returned(topup.id, topup.bonus_fen)),)

    def _uninvoiced(self, topup: TopUp, root: Root, left: LotLeft | None) -> Event:
        """An invoice for it is to be taken back."""
        assert left is not None, "it is whole"
        seller = left.lot.lot.selling_company or root.issuer
        taken = invoiceable(topup, root.issuer, seller, self.rules, -topup.amount_fen)
        return Event("topup.invoiceable", taken)

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


def left_of(derived: Derived, topup: str) -> LotLeft | None:
    """What is left of a top-up's lot."""
    return next((one for one in derived.left if one.lot.op == topup), None)


def _back(topup: TopUp, root: Root) -> tuple[Move, ...]:
    """The cash over the counter, the bonus to whoever gave it."""
    cash, store = topup.house(root.issuer)
    paid = Move(Account.PRINCIPAL, cash, topup.amount_fen, Purpose.LOAD_VOID, store, topup.id)
    if not topup.bonus_fen:
        return (paid,)
    return paid, Move(
        Account.BONUS,
        Account.BONUS_COST,
        topup.bonus_fen,
        Purpose.BONUS_CLAWBACK,
        root.issuer,
        topup.id,
    )
