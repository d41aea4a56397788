"""card-life.md: which verb leads from which state to which."""

from __future__ import annotations

from kabao.app.reference.markdown import page, table
from kabao.cards.model import STATUS
from kabao.cards.states import FINAL, LIFTS, CardState, Reason, lines


def card_life() -> str:
    """The page."""
    return page(
        "The life of a card",
        "The one table of `kabao.cards.states`. A verb that has no line for a state is refused\n"
        "with `card_state_forbids`. *Value* is what the root account may do from then on; it\n"
        "changes in the same transaction, under the lock that payments take.",
        table(
            ("State", "Verb", "Next state", "Value", "Reasons (the first is taken unless given)"),
            lines(),
        ),
        "## What the outside is told",
        table(
            ("State", "`status` in the API", "For ever"),
            ((str(s), STATUS[s], "yes" if s in FINAL else "") for s in CardState),
        ),
        "## Who may lift which freeze",
        table(
            ("Reason for unfreezing", "Lifts a freeze for"),
            ((str(r), ", ".join(f for f in Reason if f in LIFTS[r])) for r in LIFTS),
        ),
    )
