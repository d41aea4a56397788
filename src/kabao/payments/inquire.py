"""Asking for a balance: the same secret, the same counting, the same commit as paying."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from kabao.cards.model import Proof, Resolved
from kabao.ledger.model import CommandBase, Decision, Moment, Root, RootState
from kabao.payments.model import Inquiry, Limits, Reason
from kabao.payments.pay import STALE, NotAccepted, not_accepted, replaced


def _not_told(no: NotAccepted) -> Decision:
    """The answer to an inquiry for a card that is not accepted."""
    told = Inquiry(accepted=False, reason=no.reason, tries_left=no.tries_left)
    return Decision(result=told, set=no.set or None)


class Inquire(CommandBase, frozen=True, kw_only=True):
    """The command to ask for a balance. Wrong PINs count here as well.

    A refusal is kept under a key of its own: one whose commit is not answered
    is not counted again, and every refusal, of a card there is or is not, costs
    the same commit. A right secret stores nothing but that it forgives.
    """

    card: Resolved | None
    limits: Limits | None
    status_of: Mapping[int, str]
    """The outside names of root states."""

    @property
    def always_kept(self) -> bool:
        """What must not happen twice is kept, so nobody need look for its key first."""
        return True

    def recall(self, result: bytes) -> Inquiry:
        """The refusal again."""
        return msgspec.json.decode(result, type=Inquiry)

    def decide(self, root: Root | None, moment: Moment, loaded: Any) -> Decision:
        """Decide under the lock."""
        del loaded
        card, limits = self.card, self.limits
        if root is None or card is None or limits is None:
            return _not_told(NotAccepted(Reason.UNKNOWN_CARD))
        if root.card != card.card or root.secret_version != card.secret_version:
            if replaced(card):
                return _not_told(NotAccepted(Reason.REPLACED))
            return Decision(result=STALE, remember=False)
        if (no := not_accepted(root, card, limits, moment)) is not None:
            return _not_told(no)
        if card.proof == Proof.NONE:
            return Decision(result=Inquiry(accepted=False))
        over = root.valid_until is not None and moment.day > root.valid_until
        status = RootState.EXPIRED if over else root.state
        return Decision(
            result=Inquiry(
                accepted=True,
                card=root.card,
                card_status=self.status_of[status],
                balance_fen=root.balance_fen,
                available_fen=root.available_fen,
                single_limit_fen=limits.single_fen,
                expires_on=root.valid_until.isoformat() if root.valid_until else None,
                currency=root.currency,
            ),
            set={"pin_tries": 0} if root.pin_tries and card.pin_proved else None,
            remember=False,
        )
