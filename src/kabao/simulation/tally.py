"""What was acknowledged, counted: in constant memory however long it runs."""

from __future__ import annotations

import bisect
from collections import Counter, defaultdict
from enum import StrEnum

import msgspec


class Flow(StrEnum):
    """Every way a card's value comes or goes, as the answers tell it."""

    LOADED = "loaded"
    LOAD_VOIDED = "load_voided"
    SPENT = "spent"
    VOIDED = "voided"
    REVERSED = "reversed"
    REFUNDED = "refunded"
    SUSPENDED = "suspended"
    """Refunded, but it fits no card: it waits in suspense (ruling 19)."""


SIGN = {
    Flow.LOADED: 1,
    Flow.LOAD_VOIDED: -1,
    Flow.SPENT: -1,
    Flow.VOIDED: 1,
    Flow.REVERSED: 1,
    Flow.REFUNDED: 1,
    Flow.SUSPENDED: 0,
}
"""Whether the cards are worth more or less by it."""

GIVEN_BACK = (Flow.VOIDED, Flow.REVERSED, Flow.REFUNDED, Flow.SUSPENDED)
"""What a store is owed less for."""

_BOUNDS_MS = tuple(round(0.1 * 1.12**n, 3) for n in range(140))


class Latencies:
    """How long answers took: a histogram whose steps are 12 % wide."""

    def __init__(self) -> None:
        self._counts = [0] * (len(_BOUNDS_MS) + 1)
        self.count = 0

    def add(self, ms: float) -> None:
        """One more answer."""
        self._counts[bisect.bisect_left(_BOUNDS_MS, ms)] += 1
        self.count += 1

    def quantile(self, share: float) -> float:
        """Below this many milliseconds was that share of the answers."""
        wanted, seen = share * self.count, 0
        for bound, count in zip(_BOUNDS_MS, self._counts, strict=False):
            seen += count
            if seen >= wanted:
                return bound
        return _BOUNDS_MS[-1]


class StoreFigures(msgspec.Struct):
    """What happened in one store. Amounts in fen."""

    payments: int = 0
    flows: dict[Flow, int] = msgspec.field(default_factory=dict)
    cash_in_fen: int = 0
    """Taken at the tills for top-ups."""
    cash_out_fen: int = 0
    """Given back at the tills for voided top-ups."""
    cash_sales_fen: int = 0
    """What customers paid in cash besides or instead of the card."""

    def add(self, flow: Flow, fen: int) -> None:
        """Value moved here."""
        self.flows[flow] = self.flows.get(flow, 0) + fen

    def fen(self, flow: Flow) -> int:
        """What moved that way."""
        return self.flows.get(flow, 0)

    @property
    def owed_fen(self) -> int:
        """What the issuer owes the store: what its customers paid, less what went back."""
        return self.fen(Flow.SPENT) - sum(self.fen(flow) for flow in GIVEN_BACK)

    @property
    def cash_fen(self) -> int:
        """Cash for the issuer in the tills."""
        return self.cash_in_fen - self.cash_out_fen


class Figures(msgspec.Struct):
    """The figures of one business day, or of a whole run."""

    operations: Counter[str] = msgspec.field(default_factory=Counter)
    """By verb: what got a final answer."""
    declines: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter)
    """By code and rule."""
    refusals: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter)
    """By verb and code: other requests that got a clear no."""
    stores: defaultdict[int, StoreFigures] = msgspec.field(
        default_factory=lambda: defaultdict(StoreFigures)
    )
    hours: Counter[int] = msgspec.field(default_factory=Counter)
    """Payments by the platform's hour."""
    hours_fen: Counter[int] = msgspec.field(default_factory=Counter)
    means: Counter[str] = msgspec.field(default_factory=Counter)
    """Approved payments by what was shown."""
    labels: Counter[str] = msgspec.field(default_factory=Counter)
    splits: int = 0
    retried: int = 0
    """Requests that needed more than one attempt."""
    unknown: int = 0
    """Requests that never got an answer."""
    failed: int = 0
    """Requests that ended in an error of the platform's own."""

    @property
    def answered(self) -> int:
        """Requests with a final answer."""
        return self.operations.total()

    def fen(self, flow: Flow) -> int:
        """What moved that way in all stores."""
        return sum(store.fen(flow) for store in self.stores.values())

    @property
    def change_fen(self) -> int:
        """How much more the cards are worth by it."""
        return sum(SIGN[flow] * self.fen(flow) for flow in Flow)


class Tally:
    """The figures of the day under way and of the whole run, and what looks wrong."""

    DEFECTS_KEPT = 50

    def __init__(self) -> None:
        self.day = Figures()
        self.run = Figures()
        self.latencies: dict[str, Latencies] = defaultdict(Latencies)
        self.defects: list[str] = []
        self.defect_count = 0

    def new_day(self) -> Figures:
        """Begin a day; the figures of the one before."""
        before, self.day = self.day, Figures()
        return before

    def both(self) -> tuple[Figures, Figures]:
        """Where something is counted."""
        return self.day, self.run

    def answered(self, verb: str, ms: float, attempts: int) -> None:
        """A request got its final answer, whatever it was."""
        self.latencies[verb].add(ms)
        for figures in self.both():
            figures.operations[verb] += 1
            figures.retried += attempts > 1

    def unknown(self, verb: str) -> None:
        """A request got none."""
        for figures in self.both():
            figures.unknown += 1
        self.defect(f"{verb} never got an answer")

    def declined(self, code: str, rule: str | None) -> None:
        """A payment was declined."""
        for figures in self.both():
            figures.declines[code, rule or ""] += 1

    def refused(self, verb: str, code: str) -> None:
        """Something else was refused."""
        for figures in self.both():
            figures.refusals[verb, code] += 1

    def broke(self, verb: str, what: str) -> None:
        """A request ended in an error of the platform's own."""
        for figures in self.both():
            figures.failed += 1
        self.defect(f"{verb}: {what}")

    def moved(self, flow: Flow, store: int, fen: int) -> None:
        """Value moved."""
        for figures in self.both():
            figures.stores[store].add(flow, fen)

    def paid(self, store: int, hour: int, fen: int, means: str) -> None:
        """A payment or hold was approved."""
        for figures in self.both():
            figures.stores[store].payments += 1
            figures.hours[hour] += 1
            figures.hours_fen[hour] += fen
            figures.means[means] += 1

    def cash(self, store: int, *, taken_fen: int = 0, given_fen: int = 0) -> None:
        """Cash went over the counter for a top-up."""
        for figures in self.both():
            figures.stores[store].cash_in_fen += taken_fen
            figures.stores[store].cash_out_fen += given_fen

    def cash_sale(self, store: int, fen: int, *, split: bool) -> None:
        """A customer paid cash at the till, for the rest or for all."""
        for figures in self.both():
            figures.stores[store].cash_sales_fen += fen
            figures.splits += split

    def labelled(self, label: str) -> None:
        """A dishonest act took place."""
        for figures in self.both():
            figures.labels[label] += 1

    def defect(self, what: str) -> None:
        """Something that a sound platform would not have done."""
        self.defect_count += 1
        if len(self.defects) < self.DEFECTS_KEPT:
            self.defects.append(what)
