"""A closed day computed again from the books: the same bytes and the same sums, or what differs."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date

import msgspec

from kabao.base.db import Conn
from kabao.base.errors import NOT_FOUND
from kabao.clearing.model.canonical import canonical, digest
from kabao.clearing.model.days import Window, WindowState
from kabao.clearing.model.figures import Figures
from kabao.clearing.model.netting import Claim, net
from kabao.clearing.model.posting import moves
from kabao.clearing.model.runs import PROVISIONAL, Run
from kabao.clearing.model.settlement import Settlement
from kabao.clearing.ops.netting import claims_of
from kabao.clearing.ops.windows import Windows
from kabao.clearing.sql import days as days_sql
from kabao.clearing.sql import runs as runs_sql
from kabao.clearing.sql import windows as windows_sql
from kabao.ledger.model import HouseMove, HouseTransfer
from kabao.ledger.ops import Ledger


class Difference(msgspec.Struct, frozen=True):
    """Something that does not come out as it was."""

    what: str
    kept: str
    computed: str


class Checked(msgspec.Struct, frozen=True):
    """What was computed again, and what differs."""

    day: date
    settlements: int
    runs: int
    amount_fen: int
    """What the settlements of the day come to together."""
    inputs_digest: str
    result_digest: str
    differs: tuple[Difference, ...]


class Checking:
    """Computes closed days again. Reads only."""

    def __init__(self, ledger: Ledger, windows: Windows) -> None:
        self._ledger, self._windows = ledger, windows

    async def check(self, conn: Conn, day: date) -> Checked:
        """Compute a day again. Raises `not_found` for one that has no figures."""
        window = await windows_sql.window_of(conn, day)
        found = await days_sql.day(conn, day)
        if found is None or window is None or window.state is not WindowState.FIGURED:
            raise NOT_FOUND.error("That day has no figures.")
        kept = await windows_sql.of_window(conn, window.id)
        differs = await self._figures(conn, window, kept)
        runs = [run for run in await runs_sql.runs(conn, window.id) if run.no != PROVISIONAL]
        for run in runs:
            differs += await self._run(conn, run, window)
        assert window.inputs_digest is not None and window.result_digest is not None
        return Checked(
            day=day,
            settlements=len(kept),
            runs=len(runs),
            amount_fen=sum(s.amount_fen for s in kept),
            inputs_digest=window.inputs_digest.hex(),
            result_digest=window.result_digest.hex(),
            differs=tuple(differs),
        )

    async def _figures(
        self, conn: Conn, window: Window, kept: Iterable[Settlement]
    ) -> list[Difference]:
        """The window's bytes, and each settlement's figures, from the books."""
        inputs, result = await self._windows.compute(conn, window)
        differs = _bytes(
            ("inputs of the window", window.inputs_digest, canonical(inputs)),
            ("figures of the window", window.result_digest, canonical(result)),
        )
        stored = {s.id: _figures_of(s) for s in kept}
        computed = {f.id: f for f in result.settlements}
        for ident in sorted(stored.keys() | computed.keys()):
            was, now = stored.get(ident), computed.get(ident)
            if was != now:
                differs.append(Difference(f"settlement {ident}", _told(was), _told(now)))
        return differs

    async def _run(self, conn: Conn, run: Run, window: Window) -> list[Difference]:
        """A run's bytes, what it was made of, what it made due, and what it moved."""
        inputs = run.read_inputs()
        settlements = await windows_sql.of_run(conn, run.id)
        carried = await runs_sql.carries_into(conn, run.id)
        own = {(c.store, c.currency) for c in inputs.claims if c.store is not None}
        claims = claims_of(settlements, carried, own)
        result = net(msgspec.structs.replace(inputs, claims=claims))
        differs = _bytes(
            (f"inputs of run {run.no}", run.inputs_digest, run.inputs),
            (f"claims of run {run.no}", digest(_claims(inputs.claims)), _claims(claims)),
            (f"result of run {run.no}", run.result_digest, canonical(result)),
        )
        due = {(i.id, i.amount_fen) for i in await runs_sql.instructions(conn, run.id)}
        differs += _sets(
            f"instructions of run {run.no}", due, {(p.id, p.amount_fen) for p in result.payments}
        )
        if run.operation_company is not None:
            moved = await self._ledger.house_moved(conn, run.operation_company, run.key)
            posted = moves(settlements, result, window.day)
            differs += _sets(
                f"transfers of run {run.no}", set(map(_line, moved)), set(map(_line, posted))
            )
        return differs


def _bytes(*each: tuple[str, bytes | None, bytes]) -> list[Difference]:
    """Where a kept digest is not that of the bytes."""
    return [
        Difference(what, (kept or b"").hex(), digest(now).hex())
        for what, kept, now in each
        if kept != digest(now)
    ]


def _sets(what: str, kept: Collection[object], computed: Collection[object]) -> list[Difference]:
    if kept == computed:
        return []
    only, missing = set(kept) - set(computed), set(computed) - set(kept)
    return [Difference(what, f"{len(only)} that should not be", f"{len(missing)} are missing")]


def _claims(claims: tuple[Claim, ...]) -> bytes:
    return msgspec.json.encode(claims)


def _line(move: HouseMove | HouseTransfer) -> tuple[object, ...]:
    """What two transfers have in common that are the same."""
    return (
        *(int(move.debit), move.debit_owner, int(move.credit), move.credit_owner),
        *(move.amount_fen, int(move.purpose), move.issuer, move.related),
    )


def _figures_of(s: Settlement) -> Figures:
    return Figures(**{name: getattr(s, name) for name in Figures.__struct_fields__})


def _told(figures: Figures | None) -> str:
    return "nothing" if figures is None else f"{figures.amount_fen} fen"
