"""Loading a card with cash: decided on its locked root. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from kabao.base.errors import KabaoError
from kabao.cards.limits import judge_secret, limit_after_credit
from kabao.cards.model import CardClass, Proof, Resolved
from kabao.ledger.model import (
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
from kabao.policy import names
from kabao.policy.model import Rules
from kabao.topups.model.bonus import Grant
from kabao.topups.model.topup import (
    CARD_CANNOT_LOAD,
    NOT_ACCEPTED,
    Invoiceable,
    Refused,
    Status,
    TopUp,
    told,
)


class Loading(msgspec.Struct, frozen=True):
    """A top-up to be, and what was known of its card before the lock."""

    topup: TopUp
    source: Resolved
    rules: Rules
    card_class: CardClass
    selling_company: str
    refused: KabaoError | None
    """What forbids this top-up whatever the card's state: told after the right secret only."""
    grant: Grant | None = None
    """What it is given on top; its rule is locked."""


class Load(CommandBase, frozen=True, kw_only=True):
    """Load a card with cash."""

    loading: Loading | None
    """None exactly when the card is unknown."""
    insert: RowWriter
    give: RowWriter | None = None
    """Stores a grant."""

    def recall(self, result: bytes) -> TopUp | Refused:
        """The first answer again."""
        refused = msgspec.json.decode(result, type=Refused)
        return refused if refused.code else msgspec.json.decode(result, type=TopUp)

    def decide(self, root: Root | None, moment: Moment, loaded: Any) -> Decision:
        """Under the lock: the secret, the state, the limit after credit."""
        del loaded
        loading = self.loading
        if root is None or loading is None:
            return Decision(result=NOT_ACCEPTED)
        accepted, counters = is_accepted(root, loading.source, loading.rules, moment)
        if not accepted:
            return Decision(result=NOT_ACCEPTED, set=counters or None)
        if root.state != RootState.ACTIVE or is_over(root, moment):
            raise CARD_CANNOT_LOAD.error(rule="P-10")
        if loading.refused is not None:
            raise loading.refused
        decision = credit(
            loading.topup,
            loading.grant,
            root,
            moment,
            rules=loading.rules,
            card_class=loading.card_class,
            selling_company=loading.selling_company,
        )
        granted = () if loading.grant is None else ((_writer(self.give), loading.grant),)
        return msgspec.structs.replace(
            decision, set=counters or None, rows=((self.insert, decision.result), *granted)
        )


def is_accepted(
    root: Root, source: Resolved, rules: Rules, moment: Moment
) -> tuple[bool, dict[str, int]]:
    """Whether what was shown stands for this card, and the counters after it. A card named by
    id shows no secret: loading only adds value. One that nobody has activated looks unknown.
    """
    by_id = source.proof == Proof.SCOPE
    if root.card != source.card or not (by_id or root.secret_version == source.secret_version):
        return False, {}
    if by_id:
        return True, {}
    judged = judge_secret(root, source.proof, rules, moment, pin_proved=source.pin_proved)
    return judged.accepted and root.state != RootState.INACTIVE, judged.set


def is_over(root: Root, moment: Moment) -> bool:
    """Whether the card's validity has run out."""
    return root.valid_until is not None and moment.day > root.valid_until


def credit(
    topup: TopUp,
    grant: Grant | None,
    root: Root,
    moment: Moment,
    *,
    rules: Rules,
    card_class: CardClass,
    selling_company: str,
) -> Decision:
    """Value and bonus come to the card as one lot. Raises `over_balance_limit` (CR-12: what is
    given counts as well).
    """
    amount, bonus = topup.amount_fen, 0 if grant is None else grant.amount_fen
    over = limit_after_credit(rules, card_class, root.balance_fen + amount + bonus)
    if over is not None:
        raise over
    after = msgspec.structs.replace(
        topup,
        status=Status.CONFIRMED,
        issuer=root.issuer,
        bonus_fen=bonus,
        balance_after_fen=root.available_fen + amount + bonus,
        created_us=topup.created_us or moment.us,
        day=topup.day or moment.day.toordinal(),
        confirmed_us=moment.us,
    )
    lot = Lot(
        amount,
        bonus,
        amount,
        moment.day,
        topup.store,
        selling_company,
        topup.channel,
        topup.payer,
    )
    return Decision(
        result=after,
        moves=_moves(after, root.issuer),
        lot=lot,
        events=(
            Event("topup.confirmed", told(after)),
            Event(
                "topup.invoiceable",
                invoiceable(after, root.issuer, selling_company, rules, amount),
            ),
        ),
    )


def _moves(topup: TopUp, issuer: str) -> tuple[Move, ...]:
    account, owner = topup.house(issuer)
    paid = Move(account, Account.PRINCIPAL, topup.amount_fen, Purpose.LOAD, owner)
    if not topup.bonus_fen:
        return (paid,)
    given = Move(Account.BONUS_COST, Account.BONUS, topup.bonus_fen, Purpose.BONUS, issuer)
    return paid, given


def invoiceable(
    topup: TopUp, issuer: str, seller: str, rules: Rules, amount_fen: int
) -> Invoiceable:
    """What an invoice may say of it."""
    return Invoiceable(
        topup.id,
        issuer,
        seller,
        topup.payer,
        amount_fen,
        topup.currency,
        rules.text(names.INVOICE_SALE_CODE),
    )


def _writer(give: RowWriter | None) -> RowWriter:
    assert give is not None, "a grant is stored"
    return give
