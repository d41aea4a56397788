"""The machine: notes in, events out, and what goes wrong on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random  # noqa: TID251 -- seeded, for faults
from typing import Any, Protocol

import msgspec

from kabao_sandbox.kiosk.journal import Journal

REPORT_MAX = 200
TRIES = 5


class Door(Protocol):
    """The platform's HTTP door, with the machine's key."""

    async def post(self, path: str, body: dict[str, Any], key: str) -> tuple[int, dict[str, Any]]:
        """Status and answer; the key is for repeating the same request."""
        ...

    async def get(self, path: str) -> tuple[int, dict[str, Any]]:
        """Status and answer."""
        ...


class Faults(msgspec.Struct, frozen=True):
    """How often what goes wrong, per cent of notes, reports or answers."""

    jam: float = 0
    cut_before_journal: float = 0
    """The power goes when a note has fallen and nothing is written of it."""
    cut_before_report: float = 0
    """The power goes between stack and report."""
    duplicate: float = 0
    """A report is sent twice."""
    unheard: float = 0
    """An answer is lost: the machine asks again with the same key."""


class PowerCutError(Exception):
    """The machine is dark; `power_on` wakes it."""


class Visit(msgspec.Struct, frozen=True):
    """What a customer was told: the visit, what it loaded, and what was given back."""

    session: str
    loaded_fen: int
    given_back_fen: int


class Machine:
    """One kiosk. `cassette` is what truly lies in it, by value in fen."""

    def __init__(
        self,
        door: Door,
        terminal: str,
        file: Path,
        clock: Callable[[], str],
        *,
        faults: Faults | None = None,
        seed: int = 1,
    ) -> None:
        self._door, self.terminal, self._file, self._clock = door, terminal, file, clock
        self._faults, self._chance = faults or Faults(), Random(seed)  # noqa: S311 -- faults
        self._journal = Journal(file)
        self._known, self._asked = 1, 0
        self.cassette: Counter[int] = Counter()
        self.cuts = 0

    # --- a customer -----------------------------------------------------------------------------

    async def visit(self, source: dict[str, Any], notes: Sequence[int]) -> Visit:
        """A customer shows a card and inserts notes. Raises PowerCutError."""
        begin = {"terminal": self.terminal, "source": source}
        session = await self._must("/v1/kiosk-sessions", begin)
        inserted = given_back = 0
        for value in notes:
            if inserted + value > session["most"] or self._happens("jam"):
                self._note("rejected", value, session["id"])
                given_back += value
                continue
            self._note("accepted", value, session["id"])
            self._stack(value, session["id"])
            inserted += value
        await self.report()
        if inserted:
            path = f"/v1/kiosk-sessions/{session['id']}/finish"
            await self._must(path, {"amount": inserted})
        return Visit(session["id"], inserted, given_back)

    def _stack(self, value: int, session: str) -> None:
        """A note falls. It is in the cassette from now on, whoever knows."""
        self.cassette[value] += 1
        if self._happens("cut_before_journal"):
            self._cut()
        self._note("stacked", value, session)
        if self._happens("cut_before_report"):
            self._cut()

    def _note(self, kind: str, value: int, session: str) -> None:
        self._write(kind, value=value, session=session)

    def _write(self, kind: str, **more: Any) -> None:
        self._journal.write({"type": kind, "occurred_at": self._clock()} | more)

    def _cut(self) -> None:
        self.cuts += 1
        raise PowerCutError

    # --- the cassette ---------------------------------------------------------------------------

    async def take_out(self) -> Counter[int]:
        """People take the cassette, and put in an empty one. Returns what is truly in it."""
        self._write("cassette_removed")
        self._write("cassette_inserted")
        await self.report()
        taken, self.cassette = self.cassette, Counter()
        return taken

    # --- the line -------------------------------------------------------------------------------

    async def power_on(self) -> None:
        """Read the journal again, ask how far it is known, and report the rest."""
        self._journal = Journal(self._file)
        status, kiosk = await self._door.get(f"/v1/kiosks/{self.terminal}")
        assert status == 200, kiosk
        self._known = kiosk["next_sequence"]
        await self.report()

    async def report(self) -> None:
        """Send what is not known yet; sometimes what is known as well."""
        again = self._happens("duplicate")
        first = max(1, self._known - 2) if again else self._known
        while events := self._journal.since(first, REPORT_MAX):
            body = {"terminal": self.terminal, "events": events}
            told = await self._must("/v1/kiosk-events", body)
            first = self._known = told["next_sequence"]

    async def _must(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Ask until it is answered, with one key; what is answered must be a yes."""
        self._asked += 1
        key = f"{self.terminal}-{self._chance.getrandbits(64):016x}-{self._asked}"
        for _ in range(TRIES):
            status, answer = await self._door.post(path, body, key)
            if self._happens("unheard"):
                continue
            assert status in {200, 201}, (path, status, answer)
            return answer
        self._cut()
        raise AssertionError("it is dark")

    def _happens(self, fault: str) -> bool:
        chance: float = getattr(self._faults, fault)
        return self._chance.random() * 100 < chance
