"""Ports: to whoever owns our side of what a source tells, and to whoever waits for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import IO, Any, LiteralString, Protocol, runtime_checkable

import msgspec

from kabao.base.db import Conn
from kabao.funding.model.answers import BillFile
from kabao.ledger.model import Account
from kabao.reconciliation.model.breaks import Break
from kabao.reconciliation.model.gate import OpenPart, Part
from kabao.reconciliation.model.lines import BillReader
from kabao.reconciliation.model.runs import Run


class Selected(msgspec.Struct, frozen=True):
    """A SELECT of our side, so that nothing is looped through Python.

    Columns: `kind, our_no, our_sub_no, their_no` (texts, empty where there is none),
    `amount_fen, fee_mfen` (null: not to be compared), `currency, at_us, day, status`
    (`done`, or what it is instead). Parameters are named, none of them `run` or `named`.
    """

    statement: LiteralString
    params: Mapping[str, Any]


class Source(Protocol):
    """Our side of one kind of source. Whoever owns the rows implements it."""

    @property
    def name(self) -> str:
        """`channel`, `bank`, …: whose rounds are played."""
        ...

    def of_day(self, subject: str, day: date) -> Selected:
        """What the source should tell of a day: all of it is `done`."""
        ...

    def named(self, subject: str, ours: Sequence[str], theirs: Sequence[str]) -> Selected:
        """What goes by these numbers, whatever its day and however it ended."""
        ...

    async def matched(self, conn: Conn, orders: Sequence[str]) -> None:
        """These of ours stand in the source, equal. Told again it is nothing."""
        ...

    async def explain(self, run: Run, found: Break) -> str | None:
        """Ask whoever knows about a break, outside of any transaction. What explains it."""
        ...

    async def expected(self, conn: Conn, day: date) -> Sequence[Part]:
        """Whose bill of a day there has to be, because our books tell of that day."""
        ...

    async def stop(self, conn: Conn, subject: str) -> None:
        """More differs than may: trust this source with nothing new."""
        ...

    @property
    def account(self) -> Account | None:
        """Our account of what the source holds for us; None: its breaks are of no money."""
        ...

    def is_own_account(self, subject: str) -> bool:
        """Whether what the source tells of is an account of ours: nobody pays it out to us."""
        ...

    @property
    def is_ours(self) -> bool:
        """Whether both sides are our own books: then nothing may differ."""
        ...


class Besides(Protocol):
    """What else goes through a channel's account than funding's orders: payouts, cash.

    The columns and the rules of `Selected`, with parameters of other names than a source has.
    """

    def of_day(self, channel: str, day: date) -> Selected:
        """What its bill of a day should tell besides."""
        ...

    def named(self, channel: str, ours: Sequence[str], theirs: Sequence[str]) -> Selected:
        """What goes by these numbers."""
        ...


@runtime_checkable
class HasBills(Protocol):
    """A channel whose bill of a day is a file. Adapters implement it."""

    async def fetch_bill(self, day: date, into: IO[bytes]) -> BillFile:
        """Write the file of a day into an empty one; nothing of it is read yet."""
        ...

    def bill_lines(self, file: IO[bytes], day: date) -> BillReader:
        """The lines of such a file."""
        ...


class Gate(Protocol):
    """What clearing asks before it closes a day for good. Who compares with the books on its
    own, such as the POS host, is asked by the same.
    """

    async def open_parts(self, conn: Conn, day: date) -> Sequence[OpenPart]:
        """What keeps a day open."""
        ...
