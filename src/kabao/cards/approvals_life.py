"""What of cards' lives takes two people: a PIN reset.

`app` registers it like those of `approvals.py`. The executor leaves a permit;
the PIN itself is drawn when the maker uses it, so no approval ever holds one.
"""

from __future__ import annotations

import msgspec

from kabao.access.model import Approval, Executor
from kabao.base.db import Conn
from kabao.base.ids import from_edge
from kabao.cards.ops.life import Life
from kabao.cards.ops.secrets import RESET_ACTION


class PinReset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A PIN reset that waits for the second person."""

    card: str


class ResetPermitted(msgspec.Struct, frozen=True):
    """The maker may now reset the PIN of this card, once."""

    card: str


def life_executors(life: Life) -> list[tuple[str, Executor, type[msgspec.Struct]]]:
    """Kind, executor and payload."""

    async def pin_reset(conn: Conn, asked: PinReset, approval: Approval) -> ResetPermitted:
        makers = frozenset({approval.maker, approval.maker_via})
        await life.permit_reset(conn, from_edge("card", asked.card), approval.id, makers)
        return ResetPermitted(asked.card)

    return [(RESET_ACTION, pin_reset, PinReset)]
