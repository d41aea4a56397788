"""Money of a channel: a top-up is opened, credited when the money is there, or given up. Each is
decided on the card's locked root. Pure.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from kabao.cards.limits import SECRET_NOT_ACCEPTED, limit_after_credit
from kabao.cards.model import CardClass, Resolved
from kabao.funding.model.collections import EXPIRED, SOURCE_NOT_ALLOWED, Collection
from kabao.funding.model.life import State
from kabao.ledger.model import (
    CommandBase,
    Decision,
    Event,
    Moment,
    Root,
    RootState,
    RowWriter,
)
from kabao.policy import names
from kabao.policy.model import Rules
from kabao.topups.model.bonus import Grant, Returned
from kabao.topups.model.loading import credit, is_accepted, is_over
from kabao.topups.model.topup import (
    CARD_CANNOT_LOAD,
    NOT_ACCEPTED,
    Refused,
    Status,
    TopUp,
    told,
)

FOREIGN = "cards"
"""The kind of channel that takes cards of Visa and MasterCard."""


class Writers(msgspec.Struct, frozen=True):
    """How rows are stored."""

    insert: RowWriter
    update: RowWriter
    give: RowWriter
    take_back: RowWriter


class Terms(msgspec.Struct, frozen=True):
    """What decides besides the root."""

    topup: TopUp
    grant: Grant | None
    rules: Rules
    card_class: CardClass
    seller: str
    """The company that sold it."""
    writers: Writers


class Accepted(msgspec.Struct, frozen=True):
    """What was shown stands for the card."""

    card: str


class Prove(CommandBase, frozen=True, kw_only=True):
    """Judge what was shown of a card before its top-up is opened: a wrong secret counts, once."""

    source: Resolved | None
    rules: Rules | None

    def recall(self, result: bytes) -> Accepted | Refused:
        """The first answer again."""
        refused = msgspec.json.decode(result, type=Refused)
        return refused if refused.code else msgspec.json.decode(result, type=Accepted)

    def decide(self, root: Root | None, moment: Moment, loaded: Any) -> Decision:
        """Under the lock."""
        del loaded
        if root is None or self.source is None or self.rules is None:
            return Decision(result=NOT_ACCEPTED)
        accepted, counters = is_accepted(root, self.source, self.rules, moment)
        result = Accepted(root.card) if accepted else NOT_ACCEPTED
        return Decision(result=result, set=counters or None)


def check_kind(rules: Rules, kind: str, amount_fen: int) -> None:
    """Cards of Visa and MasterCard where the programme has switched them on (ruling 16), within
    the documents' limit (T-14). Yuan are counted as dollars, which is stricter than any rate.

    Raises `source_not_allowed`.
    """
    if kind != FOREIGN:
        return
    allowed, most = names.TOPUP_FOREIGN_SCHEME_ALLOWED, names.TOPUP_CROSS_BORDER_MAX_USD_CENTS
    if not rules.flag(allowed):
        raise SOURCE_NOT_ALLOWED.error(rule=rules.row(allowed), field="channel")
    if amount_fen > rules.int(most):
        raise SOURCE_NOT_ALLOWED.error(rule=rules.row(most), field="amount")


def open_(terms: Terms, root: Root | None, moment: Moment) -> Decision:
    """Write down what is awaited. Whether the card could take it is told at once; that it can
    is judged again when the money is there.

    Raises `secret_not_accepted`, `card_cannot_be_loaded`, `over_balance_limit`.
    """
    topup, grant = terms.topup, terms.grant
    if root is None or root.card != topup.card or root.state == RootState.INACTIVE:
        raise SECRET_NOT_ACCEPTED.error()
    if root.state != RootState.ACTIVE or is_over(root, moment):
        raise CARD_CANNOT_LOAD.error(rule="P-10")
    bonus = 0 if grant is None else grant.amount_fen
    balance = root.balance_fen + topup.amount_fen + bonus
    over = limit_after_credit(terms.rules, terms.card_class, balance)
    if over is not None:
        raise over
    opened = replace(
        topup,
        issuer=root.issuer,
        bonus_fen=bonus,
        created_us=moment.us,
        day=moment.day.toordinal(),
    )
    granted = () if grant is None else ((terms.writers.give, grant),)
    return Decision(
        result=opened,
        rows=((terms.writers.insert, opened), *granted),
        events=(Event("topup.pending", told(opened)),),
    )


def takes(root: Root, card_class: CardClass, moment: Moment) -> bool:
    """Whether a card takes money that was paid for it.

    A registered card does when it was frozen or reported lost meanwhile: its value stays its
    holder's and goes on to the replacement (CR-28). A bearer card does not: whoever found it
    could come to have the money, so the payer gets it back.
    """
    if is_over(root, moment):
        return False
    if root.state in (RootState.FROZEN, RootState.LOST):
        return card_class is CardClass.REGISTERED
    return root.state == RootState.ACTIVE


def confirm(terms: Terms, root: Root | None, moment: Moment) -> Decision:
    """The money is there: value and bonus come to the card.

    Raises `card_cannot_be_loaded` and `over_balance_limit`; then it goes back by itself.
    """
    assert root is not None, "a top-up has a root"
    if terms.topup.status != Status.PENDING or not takes(root, terms.card_class, moment):
        raise CARD_CANNOT_LOAD.error(rule="P-10")
    decision = credit(
        terms.topup,
        terms.grant,
        root,
        moment,
        rules=terms.rules,
        card_class=terms.card_class,
        selling_company=terms.seller,
    )
    return replace(decision, rows=((terms.writers.update, decision.result),))


def give_up(
    terms: Terms, code: str, rule: str | None, root: Root | None, moment: Moment
) -> Decision:
    """Nothing comes, or it could not be used: what was promised on top is the budget's again."""
    del moment
    assert root is not None, "a top-up has a root"
    status = Status.EXPIRED if code == EXPIRED.name else Status.FAILED
    failed = replace(terms.topup, status=status, failure=code, rule=rule)
    rows: list[tuple[RowWriter, Any]] = [(terms.writers.update, failed)]
    if terms.grant is not None:
        rows.append((terms.writers.take_back, Returned(failed.id, terms.grant.amount_fen)))
    return Decision(
        result=failed, rows=tuple(rows), events=(Event(f"topup.{status}", told(failed)),)
    )


_AWAITED = {State.CREATED, State.PENDING, State.UNKNOWN}
_GOING_BACK = {State.REFUNDING, State.REFUNDED}


def shown(topup: TopUp, collection: Collection | None) -> str:
    """Where a top-up stands, its collection asked as well (T-20): what is awaited may be
    created, pending or unknown, what is confirmed may be reconciled, and what failed may be
    on its way back.
    """
    if collection is None:
        return topup.status
    state = collection.state
    if topup.status == Status.PENDING and state in _AWAITED:
        return str(state)
    if topup.status == Status.CONFIRMED and state == State.RECONCILED:
        return State.RECONCILED.value
    if topup.status in (Status.FAILED, Status.EXPIRED) and state in _GOING_BACK:
        return str(state)
    return topup.status
