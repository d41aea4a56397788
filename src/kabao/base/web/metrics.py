"""Figures for Prometheus: how many requests, how long, per route and status.

Counting costs a fraction of a microsecond, because both doors run in one event
loop and need no locks. Every sample carries the label `process`. Processes that
share a listening socket also share a folder: each leaves its latest figures
there every few seconds, and whichever is scraped reports its own figures as
they are now and its living siblings' as they last left them. So a counter may
lag by `SNAPSHOT_S`, and none is ever lost or counted twice.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SNAPSHOT_S = 5
CONTENT_TYPE = "text/plain; version=0.0.4"  # Litestar adds the charset


class Meter:
    """Counts the requests of one route through one door."""

    __slots__ = ("buckets", "statuses", "total_s")

    def __init__(self) -> None:
        self.statuses: dict[int, int] = {}
        self.buckets = [0] * (len(BOUNDS_S) + 1)
        self.total_s = 0.0

    def count(self, status: int, seconds: float) -> None:
        """One request answered."""
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.buckets[bisect_left(BOUNDS_S, seconds)] += 1
        self.total_s += seconds


class Traffic(Collector):
    """The meters of this process. Labels hold templates, never values."""

    def __init__(self) -> None:
        self._meters: dict[tuple[str, str, str], Meter] = {}

    def meter(self, door: str, method: str, route: str) -> Meter:
        """The meter of a route, the same one every time."""
        return self._meters.setdefault((door, method, route), Meter())

    def collect(self) -> Iterable[Metric]:
        """The figures as metric families."""
        requests = CounterMetricFamily(
            "kabao_http_requests",
            "Requests answered.",
            labels=("door", "method", "route", "status"),
        )
        seconds = HistogramMetricFamily(
            "kabao_http_request_seconds",
            "Time from the arrival of a request to its answer.",
            labels=("door", "method", "route"),
        )
        for labels, meter in self._meters.items():
            for status, count in meter.statuses.items():
                requests.add_metric((*labels, str(status)), count)
            running, buckets = 0, []
            for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), meter.buckets, strict=True):
                running += count
                buckets.append((bound, running))
            seconds.add_metric(labels, buckets, sum_value=meter.total_s)
        yield requests
        yield seconds


class Counts(Collector):
    """A counter by labels, for slices and doors that have something to count."""

    def __init__(self, name: str, documentation: str, labels: tuple[str, ...] = ()) -> None:
        self._name, self._documentation, self._labels = name, documentation, labels
        self._counts: dict[tuple[str, ...], int] = {}

    def add(self, *labels: str) -> None:
        """One more. Labels are closed sets, never values."""
        self._counts[labels] = self._counts.get(labels, 0) + 1

    def of(self, *labels: str) -> int:
        """How many so far."""
        return self._counts.get(labels, 0)

    def collect(self) -> Iterable[Metric]:
        """The counter as a metric family."""
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        for labels, count in self._counts.items():
            family.add_metric(labels, count)
        yield family


class Level(Collector):
    """A figure that goes up and down, read when it is asked for."""

    def __init__(self, name: str, documentation: str, read: Callable[[], float]) -> None:
        self._name, self._documentation, self._read = name, documentation, read

    def collect(self) -> Iterable[Metric]:
        """The figure as a metric family."""
        yield GaugeMetricFamily(self._name, self._documentation, value=self._read())


class Levels(Collector):
    """The same by labels. Labels are few and closed, such as the channels there are."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: tuple[str, ...],
        read: Callable[[], Iterable[tuple[tuple[str, ...], float]]],
    ) -> None:
        self._name, self._documentation = name, documentation
        self._labels, self._read = labels, read

    def collect(self) -> Iterable[Metric]:
        """The figures as one metric family."""
        family = GaugeMetricFamily(self._name, self._documentation, labels=self._labels)
        for labels, value in self._read():
            family.add_metric(labels, value)
        yield family


class _Family(msgspec.Struct):
    """A metric family as it is left for the siblings."""

    name: str
    documentation: str
    kind: str
    samples: list[tuple[str, dict[str, str], float]]


class _Snapshot(msgspec.Struct):
    """Everything one process has to report."""

    pid: int
    families: list[_Family]


class Figures:
    """What `/metrics` reports: this process and its siblings."""

    def __init__(
        self,
        traffic: Traffic,
        *,
        process: str = "0",
        folder: Path | None = None,
        registry: CollectorRegistry | None = None,
    ) -> None:
        """Bind the figures of this process.

        Args:
            process: the value of the label, such as the worker's number.
            folder: shared with the siblings; None when there are none.
            registry: where slices register figures of their own.
        """
        self._process, self._folder = process, folder
        self.registry = registry or CollectorRegistry()
        self.registry.register(traffic)
        ProcessCollector(registry=self.registry)

    def render(self) -> bytes:
        """The exposition text."""
        merged: dict[str, Metric] = {}
        for family in (*self._own().families, *self._siblings()):
            metric = merged.setdefault(
                family.name, Metric(family.name, family.documentation, family.kind)
            )
            metric.samples += [Sample(name, labels, v) for name, labels, v in family.samples]
        return generate_latest(_Fixed(merged.values()))

    def leave(self) -> None:
        """Leave a snapshot for the siblings; called every `SNAPSHOT_S`."""
        if self._folder is None:
            return
        target = self._folder / f"{self._process}.json"
        draft = target.with_suffix(".draft")
        draft.write_bytes(msgspec.json.encode(self._own()))
        draft.replace(target)

    def _own(self) -> _Snapshot:
        return _Snapshot(
            os.getpid(),
            [
                _Family(
                    metric.name,
                    metric.documentation,
                    metric.type,
                    [
                        (sample.name, {**sample.labels, "process": self._process}, sample.value)
                        for sample in metric.samples
                        if not sample.name.endswith("_created")
                    ],
                )
                for metric in self.registry.collect()
            ],
        )

    def _siblings(self) -> Iterable[_Family]:
        for left in sorted(self._folder.glob("*.json")) if self._folder else ():
            if left.stem == self._process:
                continue
            try:
                snapshot = msgspec.json.decode(left.read_bytes(), type=_Snapshot)
            except (OSError, msgspec.DecodeError):
                continue  # a sibling of another version, or gone this moment
            if _alive(snapshot.pid):
                yield from snapshot.families


class _Fixed(CollectorRegistry):
    """A registry of families that are there already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        super().__init__()
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
