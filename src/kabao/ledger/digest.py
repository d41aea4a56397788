r"""The digest of a batch: a canonical line per transfer, chained per writer.

    digest = SHA-256(previous digest | header line | transfer lines)

Lines end in "\\n"; fields are joined by "|"; an absent value is empty; moments
are whole µs since 1970 UTC. docs/LEDGER.md states the format, and `kabao audit`
implements it a second time from that text alone. Transfers between house accounts
are one chain, a link each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import date

from kabao.ledger.model import HouseTransfer, Transfer

GENESIS = bytes(32)
"""What a writer's first batch is chained to."""


def line(t: Transfer) -> str:
    """The canonical line of one transfer."""
    return (
        f"{t.root}|{t.seq}|{t.op}|{t.related or ''}|{t.debit}|{t.credit}|{t.house or ''}"
        f"|{t.amount_fen}|{t.currency}|{t.principal_after_fen}|{t.bonus_after_fen}"
        f"|{t.held_after_fen}|{t.purpose}|{t.issuer}|{t.selling_store or ''}"
        f"|{t.redeeming_store or ''}|{t.terminal or ''}|{t.cashier or ''}|{t.shift or ''}"
        f"|{t.channel or ''}|{t.occurred_us}|{t.recorded_us}|{t.business_date.isoformat()}\n"
    )


def chain(
    previous: bytes,
    writer: int,
    no: int,
    day: date,
    recorded_us: int,
    transfers: Iterable[Transfer],
) -> bytes:
    """The digest of a batch: transfers in the order (root, seq)."""
    lines = [line(t) for t in sorted(transfers, key=_order)]
    header = f"{writer}|{no}|{day.isoformat()}|{recorded_us}|{len(lines)}\n"
    return hashlib.sha256(previous + (header + "".join(lines)).encode()).digest()


def house_line(t: HouseTransfer) -> str:
    """The canonical line of one transfer between house accounts."""
    return (
        f"{t.no}|{t.op}|{t.debit}|{t.debit_owner}|{t.credit}|{t.credit_owner}|{t.amount_fen}"
        f"|{t.currency}|{t.purpose}|{t.issuer}|{t.channel or ''}|{t.related or ''}"
        f"|{t.for_date.isoformat() if t.for_date else ''}|{t.recorded_us}"
        f"|{t.business_date.isoformat()}\n"
    )


def house_chain(previous: bytes, transfers: Iterable[HouseTransfer]) -> list[bytes]:
    """The digest of each transfer between house accounts, in the order of their numbers."""
    found = []
    for t in transfers:
        previous = hashlib.sha256(previous + house_line(t).encode()).digest()
        found.append(previous)
    return found


def _order(t: Transfer) -> tuple[str, int]:
    return (t.root, t.seq)
