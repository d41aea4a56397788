"""ISO 20022 documents, read as a stream. They may be hostile (ATK-16).

No DTD, so that there are no entities; UTF-8 only, since parsers differ in what else they
take; no deep nesting; what has been read is let go, so that size alone cannot fill memory.
"""

from __future__ import annotations

import codecs
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import IO

from defusedxml.common import DefusedXmlException  # type: ignore[import-untyped] # it has none
from defusedxml.ElementTree import iterparse  # type: ignore[import-untyped] # it has none

from kabao.base.errors import Code
from kabao.reconciliation.model.lines import BILL_CUT, BILL_UNREADABLE

DEPTH_MAX = 32
"""ISO 20022 has no deeper paths."""

_NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:"
_CHUNK = 1 << 16
_ENDS_EARLY = frozenset({3, 5, 6})
"""Of expat: no element found, a token or a character that is not finished."""


class NotReadableError(Exception):
    """No such document, or one that ought not to be read; `code` is what a bill is refused with."""

    def __init__(
        self, reason: str, code: Code = BILL_UNREADABLE, *, line: int | None = None
    ) -> None:
        super().__init__(reason)
        self.code, self.line = code, line


def elements(file: IO[bytes], message: str, wanted: frozenset[str]) -> Iterator[ET.Element]:
    """The elements of these names, whole, in the order in which they end.

    Args:
        file: the document; it can be sought.
        message: what it must be, such as `camt.053.001.`, any version.
        wanted: names without namespace; one inside another is part of that.

    Raises:
        NotReadableError: it is hostile, truncated or something else.
    """
    try:
        yield from _walk(file, message, wanted)
    except NotReadableError:
        raise
    except ET.ParseError as wrong:
        raise NotReadableError(
            "ParseError: the document cannot be read",
            BILL_CUT if wrong.code in _ENDS_EARLY else BILL_UNREADABLE,
            line=wrong.position[0],
        ) from None
    except (DefusedXmlException, ValueError, LookupError) as wrong:
        raise NotReadableError(f"{type(wrong).__name__}: the document cannot be read") from None


def _walk(file: IO[bytes], message: str, wanted: frozenset[str]) -> Iterator[ET.Element]:
    _check_utf8(file)
    path: list[ET.Element] = []
    inside = 0
    for event, element in iterparse(file, events=("start", "end"), forbid_dtd=True):
        mine = name(element) in wanted
        if event == "start":
            if not path and not element.tag.startswith(f"{{{_NAMESPACE}{message}"):
                raise NotReadableError("another kind of document")
            if len(path) >= DEPTH_MAX:
                raise NotReadableError("nested too deep")
            path.append(element)
            inside += mine
            continue
        path.pop()
        inside -= mine
        if mine and not inside:
            yield element
        if not inside and path:
            path[-1].remove(element)


def _check_utf8(file: IO[bytes]) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    while chunk := file.read(_CHUNK):
        decoder.decode(chunk)
    decoder.decode(b"", final=True)
    file.seek(0)


def name(element: ET.Element) -> str:
    """Without its namespace."""
    return element.tag.rpartition("}")[2]


def below(element: ET.Element, path: str) -> Iterator[ET.Element]:
    """The elements at a path of names, `NtryDtls/TxDtls`, in any version's namespace."""
    first, _, rest = path.partition("/")
    for child in element:
        if name(child) == first:
            if rest:
                yield from below(child, rest)
            else:
                yield child


def text(element: ET.Element, *paths: str) -> str:
    """The text at the first path that has one; empty where none has."""
    for path in paths:
        for found in below(element, path):
            if found.text and found.text.strip():
                return found.text.strip()
    return ""
