"""Whose doing a channel's refusal is.

A channel must not be shut for all because some payers have no money (T-22), nor stay open
because everybody's money is refused: codes about our account there are told from the payer's.
"""

from __future__ import annotations

import msgspec

from kabao.funding.model.answers import Refused, Scene, Whose

_FROM_PAYER = frozenset({Scene.CODE, Scene.APP})
"""Scenes in which an order carries something of the payer's that may be wrong."""


class Blame(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel's codes say of whose doing it is.

    A code in neither set is the payer's where the order carried something of theirs,
    and else the channel's: nobody had paid yet.
    """

    account: frozenset[str]
    """Our account, key or agreement there is not in order: no payer can help it."""
    payer: frozenset[str]
    """What a payer wants is too much, in whatever scene."""

    def refused(self, code: str, text: str, scene: Scene) -> Refused:
        """A refusal when money was asked for."""
        payers = code in self.payer or (scene in _FROM_PAYER and code not in self.account)
        return Refused(code, text, Whose.PAYER if payers else Whose.CHANNEL)

    def declined(self, code: str, text: str = "") -> Refused:
        """A refusal told when it was asked what became of an order: its payer had come."""
        return Refused(code, text, Whose.CHANNEL if code in self.account else Whose.PAYER)


def unsent(code: str) -> Refused:
    """We know that the channel would not take it, and do not ask."""
    return Refused(code, whose=Whose.OURS)
