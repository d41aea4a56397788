"""What is shown to pay: the union every door takes as `source`. Import it from `model`."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta


class Hidden(msgspec.Struct, frozen=True):
    """What must show in no log and no traceback. Rich asks for fields, not for the repr."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class CardNumber(
    Hidden, frozen=True, tag_field="type", tag="card_number", forbid_unknown_fields=True
):
    """A number typed or read, with its PIN."""

    number: Annotated[str, Meta(pattern="^[0-9]{8,24}$")]
    pin: Annotated[str, Meta(pattern="^[0-9]{4,12}$")]


class Track(Hidden, frozen=True, tag_field="type", tag="track", forbid_unknown_fields=True):
    """Track 2 of a magnetic stripe, with the PIN where the programme wants it."""

    track2: Annotated[str, Meta(min_length=1, max_length=40)]
    pin: Annotated[str, Meta(pattern="^[0-9]{4,12}$")] | None = None


class Barcode(Hidden, frozen=True, tag_field="type", tag="barcode", forbid_unknown_fields=True):
    """What a scanner read from a card or a screen."""

    data: Annotated[str, Meta(min_length=1, max_length=64)]


class CardRef(
    msgspec.Struct, frozen=True, tag_field="type", tag="card", forbid_unknown_fields=True
):
    """A card named by its id at the edge, for keys whose scope covers it."""

    id: Annotated[str, Meta(max_length=64)]


Source = CardNumber | Track | Barcode | CardRef
