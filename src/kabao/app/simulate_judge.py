"""Asks the auditor, who shares nothing with what it judges."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from kabao.app.report import AuditLine, Verdict


def judge(url: str, journal: Path) -> Verdict:
    """What the auditor says of a database and of the journal of its clients."""
    try:
        audit: Any = importlib.import_module("kabao.audit")
    except ImportError:
        return Verdict(
            holds=False, lines=[AuditLine(id="-", text="there is no auditor yet", holds=False)]
        )
    found = audit.audit(url, journal=journal)
    return Verdict(found.holds, [AuditLine(line.id, line.text, line.holds) for line in found.lines])
