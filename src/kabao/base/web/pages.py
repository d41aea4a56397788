"""Lists, a page at a time, by position and not by number.

A cursor is the position of the last row shown: the values of the columns the
list is ordered by. It is opaque to callers and carries no permission: every
page is fetched with the caller's scope again, so a forged cursor shows
nothing more. It is checked for type and range, because its values go into a
statement.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta

from kabao.base.errors import MALFORMED, KabaoError

Row = TypeVar("Row")
View = TypeVar("View")
Position = TypeVar("Position")

DEFAULT_LIMIT = 50
MAX_LIMIT = 200

Limit = Annotated[int, Meta(ge=1, le=MAX_LIMIT, description="Rows on a page.")]
Cursor = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=512,
        pattern="^[A-Za-z0-9_-]*$",
        description="`next_cursor` of the page before.",
    ),
]

IdPosition = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
"""An id inside a cursor."""
NumberPosition = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""A bigint inside a cursor."""
TextPosition = Annotated[str, Meta(max_length=255, pattern=r"^[^\x00]*$")]
"""A text inside a cursor."""


class Page(msgspec.Struct, Generic[View], frozen=True):
    """One page of a list, and where the next one starts."""

    data: list[View]
    next_cursor: str | None = None


def position(cursor: str | None, kind: type[Position]) -> Position | None:
    """Where to go on: `position(cursor, tuple[NumberPosition, IdPosition])`.

    None on the first page. Raises `malformed` for anything that is not a
    cursor of this kind.
    """
    if cursor is None:
        return None
    try:
        packed = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return msgspec.msgpack.decode(packed, type=kind)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise no_cursor() from None


def page(
    rows: Sequence[Row],
    limit: int,
    view: Callable[[Row], View],
    place: Callable[[Row], tuple[Any, ...]],
) -> Page[View]:
    """Make a page of rows that were fetched with `limit + 1`.

    Args:
        rows: in the order of the list; one more than `limit` if there is more.
        limit: how many to show.
        view: what to show of a row.
        place: the ordering columns of a row, as `position` reads them back.
    """
    shown = rows[:limit]
    more = len(rows) > limit
    return Page(
        [view(row) for row in shown], cursor_at(place(shown[-1])) if more and shown else None
    )


def cursor_at(place: tuple[Any, ...]) -> str:
    """A cursor of a place, as `position` reads it."""
    return urlsafe_b64encode(msgspec.msgpack.encode(place)).decode().rstrip("=")


def no_cursor() -> KabaoError:
    """`malformed`: what was given is no cursor of the list."""
    return MALFORMED.error("This is not a cursor of this list.", field="cursor")
