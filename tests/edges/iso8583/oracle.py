"""Our dialects in pyiso8583's words: an independent codec judges ours."""

from __future__ import annotations

import copy
from typing import Any

import iso8583
from hypothesis import strategies as st
from iso8583.specs import default

from kabao.edges.iso8583.model import Fields, Value
from kabao.edges.iso8583.spec import Dialect, Field, Kind, Side


def spec_of(dialect: Dialect) -> dict[str, dict[str, Any]]:
    """The same dialect as a specification of pyiso8583."""
    spec: dict[str, dict[str, Any]] = copy.deepcopy(default)
    spec["h"] = {"data_enc": "b", "len_enc": "b", "len_type": 0, "max_len": 0, "desc": ""}
    spec["t"] = {"data_enc": "b", "len_enc": "b", "len_type": 0, "max_len": 2, "desc": ""}
    for bitmap in ("p", "1"):
        spec[bitmap] = {"data_enc": "b", "len_enc": "b", "len_type": 0, "max_len": 8, "desc": ""}
    for number, field in dialect.fields.items():
        spec[str(number)] = _field(field, dialect)
    return spec


def _field(field: Field, dialect: Dialect) -> dict[str, Any]:
    encoding = {Kind.ASCII: "ascii", Kind.TEXT: "latin-1"}.get(field.kind, "b")
    made: dict[str, Any] = {
        "data_enc": encoding,
        "len_enc": "bcd",
        "len_type": field.length,
        "max_len": field.size,
        "desc": "",
    }
    if field.packed:
        made["len_count"] = "nibbles"
        made["left_pad" if field.pad is Side.LEFT else "right_pad"] = dialect.fill.upper()
    return made


def shown(value: Value) -> str:
    """A value as pyiso8583 shows it."""
    return value.hex().upper() if isinstance(value, bytes) else value


def encode(dialect: Dialect, mti: str, fields: Fields) -> bytes:
    doc = {"t": mti} | {str(n): shown(v) for n, v in fields.items()}
    raw, _ = iso8583.encode(doc, spec_of(dialect))
    return bytes(raw)


def decode(dialect: Dialect, data: bytes) -> dict[str, str]:
    doc, _ = iso8583.decode(data, spec_of(dialect))
    return dict(doc)


def values(field: Field) -> st.SearchStrategy[Value]:
    """Contents that a field may have."""
    low = 0 if field.length else field.size
    match field.kind:
        case Kind.BCD:
            return st.text("0123456789", min_size=low, max_size=field.size)
        case Kind.TRACK:
            return st.text("0123456789D", min_size=low, max_size=field.size)
        case Kind.BINARY:
            return st.binary(min_size=low, max_size=min(field.size, 60) if low == 0 else low)
        case Kind.ASCII | Kind.TEXT:
            signs = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
            return st.text(signs, min_size=low, max_size=min(field.size, 60) if low == 0 else low)


def messages(dialect: Dialect) -> st.SearchStrategy[Fields]:
    """Any set of fields with contents."""
    described = {n: values(f) for n, f in dialect.fields.items()}
    return st.sets(st.sampled_from(sorted(described))).flatmap(
        lambda chosen: st.fixed_dictionaries({n: described[n] for n in sorted(chosen)})
    )
