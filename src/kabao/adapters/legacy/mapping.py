"""Which column of a legacy export is what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from kabao.base.errors import INVALID
from kabao.reconciliation.model.lines import LineKind

MAPPING_BYTES = 1 << 16

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class Columns(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The heads of the columns."""

    their_no: _Name
    day: _Name
    kind: _Name
    amount: _Name
    our_no: _Name | None = None
    our_sub_no: _Name | None = None
    time: _Name | None = None
    """The time of day, `HH:MM:SS`; the beginning of the day where there is none."""
    fee: _Name | None = None
    currency: _Name | None = None
    status: _Name | None = None


class Totals(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last row: what its first cell says, and where it has the sums (0 is the first cell)."""

    first_cell: _Name
    count: Annotated[int, msgspec.Meta(ge=1)]
    amount: Annotated[int, msgspec.Meta(ge=1)] | None = None


class LegacyMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a system's export is read."""

    columns: Columns
    kinds: Mapping[str, LineKind]
    """Its words for payments, refunds, …; a word that is not here refuses the file."""
    statuses: Mapping[str, str] = {}
    """Its words for `done` and for what else became of a row."""
    totals: Totals | None = None
    """Without it a file that ends at the end of a line cannot be told from a whole one."""
    encoding: Literal["utf-8", "gbk", "gb18030"] = "utf-8"
    delimiter: Annotated[str, msgspec.Meta(min_length=1, max_length=1)] = ","
    day_form: _Name = "%Y-%m-%d"
    amount: Literal["yuan", "fen"] = "yuan"


def read_mapping(text: bytes) -> LegacyMapping:
    """The file of TOML. Raises `invalid_request`."""
    if len(text) > MAPPING_BYTES:
        raise INVALID.error("The file that names the columns is too long.")
    try:
        return msgspec.toml.decode(text, type=LegacyMapping)
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise INVALID.error(f"The file that names the columns cannot be used: {wrong}.") from None
