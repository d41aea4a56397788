"""What takes two people, and who does it once they agree: every slice's kinds in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kabao.cards.approvals import executors
from kabao.cards.approvals_life import life_executors

if TYPE_CHECKING:
    from kabao.app.composition import Kabao


def register_executors(kabao: Kabao) -> None:
    """Tell the approvals who executes each kind of request."""
    for kind, executor, payload in (*executors(kabao.cards), *life_executors(kabao.life)):
        kabao.access.register_executor(kind, executor, payload=payload)
