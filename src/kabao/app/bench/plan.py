"""What a run measures, and what it found."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

import msgspec

ROWS_PER_PAYMENT = "4 inserted (operation, payment, transfer, event), 1 updated (root)"


class Plan(msgspec.Struct, frozen=True):
    """How much to measure."""

    cards: int
    seconds: float
    rounds: int
    only: tuple[str, ...]
    results: Path
    data: Path
    scale: int = 50


class Run(msgspec.Struct, frozen=True):
    """One measurement, and the reference just before it."""

    per_second: float
    reference_per_second: float
    p50_ms: float
    p99_ms: float
    count: int
    errors: int

    @property
    def ratio(self) -> float:
        """How many times the reference."""
        return self.per_second / self.reference_per_second


class Figure(msgspec.Struct, frozen=True):
    """A measured thing: its runs, and what design.md section 5 asks for."""

    name: str
    what: str
    cards: int
    at_least: float | None
    aim: float | None
    unit: str
    runs: tuple[Run, ...]
    value: float
    """The median of the runs' ratios, or what `unit` says."""

    @property
    def reached(self) -> bool | None:
        """Whether the floor is reached; None where there is none."""
        return None if self.at_least is None else self.value >= self.at_least


def figure(
    name: str, what: str, cards: int, runs: Sequence[Run], at_least: float, aim: float
) -> Figure:
    """The figure of a throughput: the median ratio."""
    value = statistics.median(run.ratio for run in runs)
    return Figure(name, what, cards, at_least, aim, "x TPC-B", tuple(runs), round(value, 2))


def percentile(sorted_values: Sequence[float], share: float) -> float:
    """The value below which `share` of them lie."""
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * share))]
