"""Progress for a person at a terminal, on stderr; what is printed on stdout stays clean."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

EVERY = 25
"""Steps between two looks of the screen at a count that runs."""


class Quiet:
    """Shows nothing: for `--json`."""

    def begin(self, what: str, total: int | None = None) -> None:
        """Nothing."""

    def step(self, done: int, note: str = "") -> None:
        """Nothing."""

    def __enter__(self) -> Quiet:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Bars:
    """One bar for each thing that is done, the last one moving."""

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("{task.description:<34}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True, highlight=False),
            refresh_per_second=8,
        )
        self._task: TaskID | None = None
        self._total: int | None = None

    def __enter__(self) -> Bars:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._complete()
        self._bars.stop()

    def begin(self, what: str, total: int | None = None) -> None:
        """The bar before is full; a new one begins."""
        self._complete()
        self._total = total
        self._task = self._bars.add_task(what, total=total, note="")

    def step(self, done: int, note: str = "") -> None:
        """Move the bar."""
        if self._task is not None and (done % EVERY == 0 or done == self._total):
            self._bars.update(self._task, completed=done, note=note)

    def _complete(self) -> None:
        if self._task is not None:
            total = self._total or 1
            self._bars.update(self._task, total=total, completed=total)
