"""Bytes in, checked Structs out; and errors that name the field at fault.

One rule separates the two refusals:

* 400 `malformed`: the request has not the documented *shape*. It is not JSON,
  a field is unknown or missing, a value has the wrong JSON type (a fraction
  or `true` where a whole number belongs).
* 422 `invalid`: the shape is right and a value is *not acceptable*: zero,
  negative, too large, too long, an unknown currency.
"""

from __future__ import annotations

import re
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qsl

import msgspec

from kabao.base.errors import INVALID, MALFORMED, KabaoError

T = TypeVar("T")

MAX_QUERY_FIELDS = 50
_NAMED = re.compile(r"Object (missing required|contains unknown) field `(.*)`", re.DOTALL)
_WHERE = re.compile(r"(?:`key` in )?`\$\.?(.*)`", re.DOTALL)
_ODD = re.compile(r"[^\w.\[\]-]")
_SHOWN = 64
"""A field name from outside is repeated at most this far, letters and digits only."""


class Reader(Generic[T]):
    """Decodes bodies of one type, strictly."""

    def __init__(self, kind: type[T]) -> None:
        self.kind = kind
        self._decode = msgspec.json.Decoder(kind).decode

    def read(self, body: bytes | bytearray) -> T:
        """The body as its type. Raises `malformed` or `invalid` with the field."""
        try:
            return self._decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise unreadable(error) from None


def unreadable(error: Exception, field: str | None = None) -> KabaoError:
    """What to tell the caller about a decoding error of msgspec.

    Values never appear: they may be secrets. `field` stands in front of the
    path msgspec reports, for values that do not come from a body.
    """
    if isinstance(error, RecursionError):
        return MALFORMED.error("The body is nested too deeply.")
    if not isinstance(error, msgspec.ValidationError):
        return MALFORMED.error("The body is not valid JSON.", field=field)
    what, _, where = str(error).partition(" - at ")
    path = [field] if field else []
    if found := _WHERE.fullmatch(where):
        path.append(found[1])
    if named := _NAMED.fullmatch(what):
        path.append(named[2])
        at = _shown(path)
        if named[1] == "missing required":
            return MALFORMED.error(f"The field {at} is missing.", field=at)
        return MALFORMED.error(f"There is no field {at} here.", field=at)
    at = _shown(path)
    if what.startswith("Invalid"):  # msgspec would repeat the value
        what = "Not one of the accepted values"
    return (MALFORMED if ", got `" in what else INVALID).error(f"{what}.", field=at or None)


def _shown(path: list[str]) -> str:
    return ".".join(_ODD.sub("?", part)[:_SHOWN] for part in path if part)


def read_query(raw: bytes) -> dict[str, list[str]]:
    """The query string as name to values. Raises `malformed`."""
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_QUERY_FIELDS,
        )
    except ValueError:
        raise MALFORMED.error("The query string cannot be read.") from None
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def read_text(text: str, kind: Any, field: str) -> Any:
    """One value from a path or a query as its type. Raises like `Reader.read`."""
    try:
        return msgspec.convert(text, kind)
    except msgspec.ValidationError as error:
        refused = unreadable(error, field)
    try:
        value = msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError as error:
        raise unreadable(error, field) from None
    if type(value) is int and str(value) != text:  # convert takes "1e2" and "1.0"
        raise MALFORMED.error("Expected a whole number.", field=field)
    if not isinstance(value, bool | int):  # convert takes "0.5" for a time, "null" for None
        raise refused
    return value
