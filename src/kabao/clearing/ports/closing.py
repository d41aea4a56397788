"""What closing a day needs to hear from others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Protocol

from kabao.base.db import Conn


class OpenPart(Protocol):
    """One source's part of a day that does not agree with the books yet."""

    @property
    def source(self) -> str:
        """Who speaks: a channel's bill, the bank, terminals, our own books."""
        ...

    @property
    def subject(self) -> str:
        """About what, as at the edge: `sto_…`, whose settlements wait for it; `chn_…`; a name."""
        ...

    @property
    def reason(self) -> str:
        """Why it is open."""
        ...

    @property
    def breaks(self) -> int:
        """How many lines do not agree."""
        ...


class Gate(Protocol):
    """Who knows whether the sources of a day agree (T-21)."""

    async def open_parts(self, conn: Conn, day: date) -> Sequence[OpenPart]:
        """The parts that keep a day from its hard close."""
        ...
