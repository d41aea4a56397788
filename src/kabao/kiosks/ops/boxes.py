"""Boxes of banknotes: what the machine reported against what people found."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec.structs import replace

from kabao.base.clock import Clock, now
from kabao.base.db import Conn
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import to_edge
from kabao.cases.model import NewCase
from kabao.cases.ops import Cases
from kabao.kiosks import sql
from kabao.kiosks.model import BOX_COUNTED, BOX_IN_USE, Box, Shortfall, compared, worth
from kabao.org.ops import Org

BOX = "kbx"


class Boxes:
    """The verbs of boxes; `count` takes the caller's transaction."""

    def __init__(self, cases: Cases, org: Org, clock: Clock) -> None:
        self._cases, self._org, self._clock = cases, org, clock

    async def count(
        self, conn: Conn, ident: str, pieces: Mapping[int, int]
    ) -> tuple[Box, list[Shortfall]]:
        """People have counted a box: what differs from the machine's events is a case.

        Raises `not_found`, `box_in_use`, `box_counted`, `invalid`.
        """
        box = _there(await sql.lock_box(conn, ident))
        if box.removed_at is None:
            raise BOX_IN_USE.error(rule="T-03")
        if box.counted_at is not None:
            raise BOX_COUNTED.error(rule="T-03")
        found = {value: count for value, count in pieces.items() if count}
        reported = await sql.notes_in(conn, ident)
        box = replace(
            box,
            counted_at=now(self._clock),
            expected_fen=worth(reported),
            counted_fen=worth(found),
        )
        await sql.count_box(conn, box, found)
        if differs := compared(reported, found):
            await self._look_at_box(conn, box, differs)
        return box, differs

    async def _look_at_box(self, conn: Conn, box: Box, differs: Sequence[Shortfall]) -> None:
        store = await self._org.get_store(conn, box.store)
        facts: dict[str, str | int] = {
            "terminal": to_edge("ter", box.terminal),
            "expected_fen": box.expected_fen or 0,
            "counted_fen": box.counted_fen or 0,
        }
        for one in differs:
            facts[f"notes_of_{one.value_fen}"] = f"{one.reported} reported, {one.found} found"
        case = NewCase(
            kind="kiosk.box_differs",
            subject=to_edge(BOX, box.id),
            company=store.company,
            store=box.store,
            facts=facts,
            key=box.id,
        )
        await self._cases.open_in(conn, case)

    async def get(self, conn: Conn, ident: str) -> Box:
        """A box. Raises `not_found`."""
        return _there(await sql.box(conn, ident))

    async def search(
        self,
        conn: Conn,
        *,
        stores: Collection[str] | None,
        terminal: str | None = None,
        before: str | None = None,
        limit: int,
    ) -> list[Box]:
        """Boxes, newest first; `stores` None: of every store."""
        return await sql.boxes(conn, stores, terminal, before, limit)


def _there(box: Box | None) -> Box:
    if box is None:
        raise NOT_FOUND.error("There is no such box.")
    return box
