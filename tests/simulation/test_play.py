"""Days of trade on a real platform, with and without faults, and what must hold after."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from kabao.app.settings import LogLevel, Settings
from kabao.app.simulate import Outcome, simulate
from kabao.simulation.journal import Entry

QUICK_RATE = 6_000.0
GROWTH_MAX = 0.05


@pytest.fixture
def settings() -> Iterator[Settings]:
    """A data folder of its own, which the database's own user can reach."""
    folder = Path(tempfile.mkdtemp(prefix="simulation-"))
    folder.chmod(0o755)
    yield Settings(data=folder, log_level=LogLevel.ERROR)
    shutil.rmtree(folder, ignore_errors=True)


def check(outcome: Outcome) -> None:
    """What must hold after any run."""
    assert outcome.disagreements == []
    assert [line for line in outcome.audit.lines if not line.holds] == []
    assert outcome.holds
    assert outcome.roll.closing == outcome.roll.cards
    assert outcome.unknown == 0
    assert outcome.speed.success_bp == 10_000


def journal(outcome: Outcome) -> list[Entry]:
    lines = Path(outcome.journal).read_bytes().splitlines()
    assert len(lines) == outcome.entries
    return [msgspec.json.decode(line, type=Entry) for line in lines]


@pytest.mark.row("P-01", "P-02", "P-16", "P-19", "T-20")
def test_a_day_without_faults(settings: Settings) -> None:
    outcome = simulate(settings, seed=11, days=1, stores=4, cards=240, rate=QUICK_RATE, quiet=True)
    check(outcome)
    (day,) = outcome.days
    assert day.payments > 500
    assert day.retried == 0
    entries = journal(outcome)
    assert len({entry.key for entry in entries}) == len(entries)
    text = Path(outcome.journal).read_text()
    assert '"pin":' not in text
    assert "track2" not in text
    verbs = {entry.verb for entry in entries}
    assert {"pay", "hold", "capture", "void", "refund", "topup"} <= verbs
    assert outcome.dishonest.keys() <= {entry.label for entry in entries}


@pytest.mark.row("P-17", "P-19", "P-21")
def test_days_with_faults(settings: Settings) -> None:
    """Lost replies, doubles, reversals before originals, kills, and a jump over midnight."""
    outcome = simulate(
        settings,
        seed=FAULTY_SEED,
        days=2,
        stores=4,
        cards=240,
        faults=True,
        rate=QUICK_RATE / 1.5,
        quiet=True,
    )
    check(outcome)
    assert outcome.faults is not None
    assert all(count > 0 for count in outcome.faults.values()), outcome.faults
    assert outcome.retried > 0
    assert outcome.speed.requests > 1_500


FAULTY_SEED = 4
"""Has a jump over midnight in its two days."""


@pytest.mark.proof
@pytest.mark.parametrize("faults", [False, True])
def test_a_month(settings: Settings, *, faults: bool) -> None:
    """A month of days: the audit holds, and memory is where it was."""
    outcome = simulate(settings, seed=5, days=31, stores=8, cards=400, faults=faults, quiet=True)
    check(outcome)
    if faults:
        return  # processes that are killed have no memory to speak of
    early, late = outcome.days[4].memory_kb, outcome.days[-1].memory_kb
    grown = {name: late[name] / early[name] - 1 for name in early}
    assert all(share < GROWTH_MAX for share in grown.values()), grown
