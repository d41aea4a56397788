"""What the readers of bills share: lines of text, columns by name, and how a bill is refused.

A reader is a generator over an open file that can be sought. It keeps a line at a time, so
that memory does not grow with a bill, and says in which line it stumbled.
"""

from __future__ import annotations

import asyncio
import csv
import zipfile
import zlib
from abc import ABC, abstractmethod
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from io import BufferedReader, BytesIO
from operator import itemgetter
from typing import IO

from kabao.base.errors import Code
from kabao.funding.model import answers
from kabao.reconciliation.model.lines import (
    BILL_CURRENCY,
    BILL_CUT,
    BILL_DAY,
    BILL_HEADER,
    BILL_MERCHANT,
    BILL_UNREADABLE,
    BillReader,
    Expected,
    Line,
    LineKind,
    SpoiltBillError,
)

BILL_BYTES = 2 << 30
"""The largest bill we read, unpacked: over a million entries of camt.053."""

LINE_BYTES = 1 << 14
NUMBER_CHARS = 64
MAX_FILES = 20
DONE = "done"


class Place:
    """Where in a bill its reader is."""

    def __init__(self) -> None:
        self.line = 0
        self.unended = False
        """Whether the line has no end: then the file was cut there, if it cannot be read."""

    def spoilt(self, reason: str, code: Code = BILL_UNREADABLE) -> SpoiltBillError:
        """The refusal at this line."""
        cut = self.unended and code is BILL_UNREADABLE
        return SpoiltBillError(reason, self.line, BILL_CUT if cut else code)


@contextmanager
def reading(place: Place) -> Iterator[None]:
    """Whatever cannot be read is told with its line, and without what stands there."""
    try:
        yield
    except KeyError:
        raise place.spoilt("a word that is not known") from None
    except (ValueError, IndexError, csv.Error):
        raise place.spoilt("a cell cannot be read") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
        # `zipfile` raises these for what is broken, locked, or packed in a way it does not know.
        raise place.spoilt("the archive is broken", BILL_CUT) from None


def texts(file: IO[bytes], encoding: str, place: Place) -> Iterator[str]:
    """The lines of a file without their ends. Raises SpoiltBillError."""
    while raw := file.readline(LINE_BYTES + 1):
        place.line += 1
        if len(raw) > LINE_BYTES:
            raise place.spoilt("a line is too long")
        place.unended = not raw.endswith(b"\n")
        if place.line == 1:
            raw = raw.removeprefix(BOM_UTF8)
        try:
            yield raw.decode(encoding).rstrip("\r\n")
        except UnicodeDecodeError:
            raise place.spoilt(f"bytes that are not {encoding}") from None


@contextmanager
def unpacked(
    file: IO[bytes], choose: Callable[[Sequence[str]], Sequence[str]], place: Place
) -> Iterator[tuple[str, IO[bytes]] | None]:
    """The one file of an archive that is chosen by name; None where none is.

    Raises SpoiltBillError: no archive, too large, or several that could be meant.
    """
    try:
        archive = zipfile.ZipFile(file, metadata_encoding="gbk")
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        file.seek(0)
        cut = file.read(2) == b"PK"
        raise SpoiltBillError(
            "the archive has no end" if cut else "no archive",
            None,
            BILL_CUT if cut else BILL_UNREADABLE,
        ) from None
    with archive, reading(place):
        inside = archive.infolist()
        if len(inside) > MAX_FILES or sum(one.file_size for one in inside) > BILL_BYTES:
            raise place.spoilt("the archive is too large")
        chosen = choose([one.filename for one in inside])
        if len(chosen) > 1:
            raise place.spoilt("the archive has several tables")
        if not chosen:
            yield None
            return
        with archive.open(chosen[0]) as packed:
            # A packed file reads line by line only slowly, unless something reads ahead of it.
            yield chosen[0], BufferedReader(packed, 1 << 16)  # type: ignore[type-var] # it has all that is asked for


Cells = Callable[[Sequence[str]], tuple[str, ...]]


def columns(names: Sequence[str], wanted: Sequence[str], place: Place) -> Cells:
    """Takes the wanted cells out of a row, wherever they stand. Raises `bill_header_changed`."""
    missing = [name for name in wanted if names.count(name) != 1]
    if missing:
        raise place.spoilt(f"no single column {missing[0]}", BILL_HEADER)
    take: Cells = itemgetter(*(names.index(name) for name in wanted))
    return take


def number(text: str) -> str:
    """A number as either side gives them. Raises ValueError for what cannot be one."""
    if not text or len(text) > NUMBER_CHARS or not text.isprintable():
        raise ValueError("no number")
    return text


def number_or_none(text: str) -> str | None:
    """The same, where there need not be one."""
    return number(text) if text else None


def check_subject(found: str, expected: Expected, place: Place) -> None:
    """Raises `bill_wrong_merchant`."""
    if found != expected.subject:
        raise place.spoilt("another merchant or account", BILL_MERCHANT)


def check_day(found: date, expected: Expected, place: Place) -> None:
    """Raises `bill_wrong_day`."""
    if found != expected.day:
        raise place.spoilt("another day", BILL_DAY)


def checked(lines: BillReader, expected: Expected) -> BillReader:
    """The lines, if not all of them are of another day or currency.

    A single one is a difference, to be looked at; a file full of them is another file.
    """
    last = 0
    days = currencies = True
    for line in lines:
        yield line
        last = line.source_no
        days = days and line.day != expected.day
        currencies = currencies and line.currency != expected.currency
    if last and days:
        raise SpoiltBillError("every line is of another day", None, BILL_DAY)
    if last and currencies:
        raise SpoiltBillError("every line is in another currency", None, BILL_CURRENCY)


class Billed(ABC):
    """A channel whose bill of a day is a file."""

    @abstractmethod
    async def fetch_bill(self, day: date, into: IO[bytes]) -> answers.BillFile:
        """Write the file of a day into an empty one; nothing of it is read yet."""

    @abstractmethod
    def bill_lines(self, file: IO[bytes], day: date) -> BillReader:
        """The lines of such a file."""

    async def bill(self, day: date) -> answers.BillAnswer:
        """The bill of a day, in memory."""
        file = BytesIO()
        said = await self.fetch_bill(day, file)
        if not isinstance(said, answers.Fetched):
            return said
        file.seek(0)
        # A long one takes seconds, in which others want their turn.
        return await asyncio.to_thread(whole, self.bill_lines(file, day), day)


_KINDS = {
    LineKind.PAY: answers.LineKind.PAYMENT,
    LineKind.REFUND: answers.LineKind.REFUND,
    LineKind.RECALL: answers.LineKind.RECALL,
    LineKind.RETURN: answers.LineKind.RETURN,
}


def whole(lines: BillReader, day: date) -> answers.Bill | answers.SpoiltBill:
    """A bill in memory, as `PayChannel.bill` answers it."""
    try:
        return answers.Bill(day, tuple(map(_bill_line, lines)))
    except SpoiltBillError as spoilt:
        return answers.SpoiltBill(spoilt.detail)


def _bill_line(line: Line) -> answers.BillLine:
    paid = line.kind is LineKind.PAY
    return answers.BillLine(
        kind=_KINDS[line.kind],
        order_no=line.our_no or "",
        refund_no=None if paid else line.our_sub_no or line.their_no,
        channel_no=line.original_no or line.their_no,
        amount_fen=line.amount_fen,
        fee_mfen=line.fee_mfen,
        at_us=line.at_us,
    )
