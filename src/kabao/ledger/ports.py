"""What the HTTP door of the ledger needs of slices beside and above it, handed in by `app`."""

from __future__ import annotations

from typing import Protocol

from kabao.base.db import Conn
from kabao.base.web.principal import Principal
from kabao.ledger.lots import Order


class Carrier(Protocol):
    """A card, as far as the ledger looks at it."""

    @property
    def root(self) -> str:
        """The root account whose value it carries, or carried until it was replaced."""
        ...


class Carriers(Protocol):
    """Cards by id. The ledger keeps no index of them: only bookkeepers ask this way."""

    async def find_card(self, conn: Conn, ident: str) -> Carrier:
        """A card. Raises `not_found`."""
        ...


class Place(Protocol):
    """A store, as far as the ledger looks at it."""

    @property
    def company(self) -> str:
        """The company it belongs to."""
        ...


class Places(Protocol):
    """The owners of house accounts."""

    def store(self, ident: str) -> Place | None:
        """A store, as of a moment ago."""
        ...

    def company(self, ident: str) -> object | None:
        """A company, as of a moment ago."""
        ...


class LotOrders(Protocol):
    """Policy's word on which load a spent fen came from."""

    def __call__(self, programme: str) -> Order:
        """The order for a programme's cards today."""
        ...


class Diary(Protocol):
    """The operator audit log."""

    async def note(
        self, conn: Conn, by: Principal, verb: str, subject: str, reason: str = ""
    ) -> None:
        """Write down who did what, last in the transaction that does it."""
        ...
