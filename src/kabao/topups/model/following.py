"""Where the value of a top-up is now: on its card, and on others it was moved to. Pure.

A lot that several others were moved into is theirs together. What is left of it counts as
that of whoever asks first: all of them are one holder's, and what was frozen has left it.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from kabao.ledger.lots import LotLeft
from kabao.ledger.passages import Passage

Key = tuple[str, str]
"""A lot: its root, and the operation that brought it."""


class Known(msgspec.Struct, frozen=True):
    """What is left of a lot, and where else parts of it went."""

    left: LotLeft
    passages: tuple[Passage, ...]


class Place(msgspec.Struct, frozen=True):
    """A lot, and how much of the value looked for is there."""

    root: str
    lot: str
    principal_fen: int
    bonus_fen: int


def places(known: Mapping[Key, Known], start: Key) -> list[Place]:
    """Where what `start` brought is, the lot itself first. `known` has the lots it reached; no
    lot reaches itself, since each was made after those it was made of.
    """
    finder = _Finder(known)
    for bonus in (False, True):
        lot = known[start].left.lot.lot
        finder.push(start, bonus, lot.bonus_fen if bonus else lot.principal_fen)
    return [
        Place(*key, principal_fen=found[False], bonus_fen=found[True])
        for key, found in finder.found.items()
    ]


class _Finder:
    """Pushes claims through lots: each takes what is left there, the rest goes on."""

    def __init__(self, known: Mapping[Key, Known]) -> None:
        self._known = known
        self.found: dict[Key, dict[bool, int]] = {}
        self._gone: dict[tuple[Key, int], int] = {}

    def push(self, start: Key, bonus: bool, fen: int) -> None:  # noqa: FBT001 -- which pile
        todo = [(start, fen)]
        while todo:
            key, claim = todo.pop()
            one = self._known.get(key)
            if one is None:
                continue  # nothing is known of it there: it is owed
            found = self.found.setdefault(key, {False: 0, True: 0})
            left = one.left.bonus_fen if bonus else one.left.principal_fen
            part = min(claim, left - found[bonus])
            found[bonus] += part
            claim -= part
            for at, passage in enumerate(one.passages):
                if passage.bonus != bonus:
                    continue
                gone = self._gone.get((key, at), 0)
                part = min(claim, passage.amount_fen - gone)
                if part:
                    self._gone[key, at] = gone + part
                    claim -= part
                    todo.append(((passage.root, passage.op), part))
