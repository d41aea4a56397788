"""Names of people and companies, as two parties write them."""

from __future__ import annotations

import unicodedata

_DOTS = frozenset("·•‧∙・")


def same_name(one: str, other: str) -> bool:
    """Whether a bank and we write the same name: full or half width, with or without blanks,
    in capitals or not, and with whichever dot between the parts of a name (CR-91).
    """
    return _plain(one) == _plain(other)


def _plain(name: str) -> str:
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(sign for sign in folded if not (sign.isspace() or sign in _DOTS))
