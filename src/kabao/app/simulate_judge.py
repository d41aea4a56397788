"""Asks the auditor, who shares nothing with what it judges."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path

from kabao.app.report import AuditLine, Verdict
from kabao.audit.model import Line
from kabao.audit.ops import audit
from kabao.base.clock import RealClock
from kabao.base.money import yuan
from kabao.cards.limits import balance_limit
from kabao.cards.model import CardClass
from kabao.policy.ops import NATIONAL, Policy


def judge(url: str, journal: Path | None, on: date) -> Verdict:
    """What the auditor says of a database and of the journal of its clients.

    Args:
        url: the database.
        journal: what the clients were told; None if what it tells of is not all there is.
        on: the day whose law says what a card may hold.
    """
    rules = Policy.load(RealClock(), []).rules(jurisdiction=NATIONAL, on=on)
    limits = {kind.value: balance_limit(rules, kind)[0] for kind in CardClass}
    report = asyncio.run(audit(url, limits=limits, journal_file=journal))
    return Verdict(report.holds, [_line(line) for line in report.lines])


def together(with_journal: Verdict, later: Verdict) -> Verdict:
    """Two audits of the same books: the later one's lines, and those that only a journal has."""
    again = {(line.id, line.text) for line in later.lines}
    told = [line for line in with_journal.lines if (line.id, line.text) not in again]
    return Verdict(with_journal.holds and later.holds, [*later.lines, *told])


def _line(line: Line) -> AuditLine:
    return AuditLine(
        line.id,
        line.text,
        line.holds,
        [_figure(name, value) for name, value in line.figures.items()],
        [*line.breaches, *_more(line.breach_count - len(line.breaches))],
        [*line.noted, *_more(line.noted_count - len(line.noted))],
    )


def _figure(name: str, value: int) -> str:
    words = name.removesuffix("_fen").replace("_", " ")
    return f"{words} {yuan(value)}" if name.endswith("_fen") else f"{words} {value:,}"


def _more(count: int) -> list[str]:
    return [f"and {count:,} more"] if count > 0 else []
