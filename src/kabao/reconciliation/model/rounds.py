"""Rounds: by which columns lines and books are paired, in which order. Data, read from TOML.

Whatever a round pairs is out of the game for the next. Rounds pair by what identifies,
never by what is compared afterwards: an amount that differs is a break of a pair.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from enum import StrEnum
from importlib import resources

import msgspec


class Key(StrEnum):
    """Columns that lines and books can be paired by."""

    KIND = "kind"
    OUR_NO = "our_no"
    OUR_SUB_NO = "our_sub_no"
    THEIR_NO = "their_no"
    AMOUNT = "amount_fen"
    CURRENCY = "currency"
    MINUTE = "minute"


class Shape(StrEnum):
    """How many of each side make a pair."""

    ONE_TO_ONE = "one_to_one"  # the first with the first, the second with the second
    ONE_TO_MANY = "one_to_many"  # a line whose amount is the sum of several of ours
    MANY_TO_ONE = "many_to_one"  # several lines whose amounts sum up to one of ours
    NOTHING = "nothing"  # lines that take back what they gave, of what our books call unpaid


TEXTS = frozenset({Key.OUR_NO, Key.OUR_SUB_NO, Key.THEIR_NO})
"""Columns that are empty where a side does not tell them."""


class Round(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One round. `filled`: columns that must not be empty; the `lacks`: that must be."""

    name: str
    keys: tuple[Key, ...]
    shape: Shape = Shape.ONE_TO_ONE
    filled: tuple[Key, ...] = ()
    line_lacks: tuple[Key, ...] = ()
    book_lacks: tuple[Key, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what could pair by nothing."""
        if not self.keys or not set(self.filled) <= set(self.keys):
            raise ValueError(f"round {self.name}: what is filled is one of the keys")
        empty = {*self.filled, *self.line_lacks, *self.book_lacks}
        if not empty <= TEXTS:
            raise ValueError(f"round {self.name}: only texts can be empty")


def load() -> Mapping[str, tuple[Round, ...]]:
    """The rounds of each source, by its name."""
    text = resources.files("kabao.reconciliation").joinpath("rounds.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), dict[str, tuple[Round, ...]])
