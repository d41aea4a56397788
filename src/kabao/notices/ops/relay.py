"""From the outbox to the lanes and to texts: who is told which event."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from kabao.base import outbox
from kabao.base.clock import Clock, now
from kabao.base.db import Conn, Database
from kabao.base.ids import Ids
from kabao.base.outbox import Position, Written
from kabao.cards.ops import Cards
from kabao.cases.ops import Cases
from kabao.ledger.ops import Ledger
from kabao.notices.model.endpoints import Endpoint
from kabao.notices.model.events import (
    About,
    about,
    envelope,
    event_id,
    is_told,
    lane_of,
    may_see,
    named,
    wanted,
)
from kabao.notices.model.texts import Template, Text, TextState
from kabao.notices.ops.endpoints import case_of
from kabao.notices.sql import endpoints as sql
from kabao.notices.sql import queue
from kabao.notices.sql import texts as sql_texts
from kabao.org.ops import Org

READER = "notices"
PAGE = 500
PAGES_AT_ONCE = 20

_encode = msgspec.json.Encoder().encode


class Whose:
    """Whose events are, looked up for a page at a time."""

    def __init__(self, ledger: Ledger, org: Org, cards: Cards) -> None:
        self._ledger, self._org, self._cards = ledger, org, cards

    async def of(self, conn: Conn, events: Sequence[Written]) -> list[About]:
        """For each event, in order. A store that was opened a moment ago is looked for."""
        for store in {named(event, "store") for event in events}:
            if store is not None:
                await self._org.find_store(store)
        roots = {event.root for event in events if event.root is not None}
        issuers = await self._ledger.issuers(conn, roots) if roots else {}
        return [about(event, self._org.store, issuers, self._issuer_of) for event in events]

    async def programmes(self, conn: Conn, events: Sequence[Written]) -> dict[str, str]:
        """The programme of each card value in a page, by root."""
        roots = {event.root for event in events if event.root is not None}
        return await self._ledger.programmes(conn, roots) if roots else {}

    def _issuer_of(self, programme: str) -> str | None:
        found = self._cards.programme(programme)
        return None if found is None else found.issuer


class Relay:
    """Reads the outbox and writes deliveries, in one transaction with its place.

    Killed at any moment it has written both or neither. One relays at a time.
    """

    def __init__(self, db: Database, whose: Whose, cases: Cases, ids: Ids, clock: Clock) -> None:
        self._db, self._whose, self._cases = db, whose, cases
        self._ids, self._clock = ids, clock
        self._at: Position | None = None

    async def round(self) -> int:
        """Relay what is new; for a tick. Returns how many deliveries were written."""
        written = 0
        for _ in range(PAGES_AT_ONCE):
            page = await self._page()
            if page is None:
                break
            written += page
        return written

    async def _page(self) -> int | None:
        """Relay a page; None when there was none, or somebody else is at it."""
        async with self._db.transaction() as conn:
            if not await queue.lock_relay(conn):
                return None
            # In this order: an endpoint made before an event was recorded is seen below.
            newest = await outbox.newest(conn)
            if not await sql.all_of(conn) and not await sql_texts.living(conn):
                if newest is not None and newest != self._at:
                    await outbox.move(conn, READER, newest)
                    self._at = newest
                return None
            page = await outbox.read(conn, READER, PAGE)
            if not page:
                return None
            queued, missed = await self._queued(conn, page, await sql.all_of(conn))
            if queued:
                await queue.enqueue(conn, queued, now(self._clock))
            for endpoint, since in missed:
                await self._missed(conn, endpoint, since)
            texts = await self._texts(conn, page, await sql_texts.living(conn))
            if texts:
                await sql_texts.insert_texts(conn, texts)
            await outbox.advance(conn, READER, page[-1])
            return len(queued) + len(texts)

    async def _queued(
        self, conn: Conn, page: Sequence[Written], endpoints: Sequence[Endpoint]
    ) -> tuple[list[queue.Queued], list[tuple[Endpoint, datetime]]]:
        """The deliveries of a page, in its order, and who misses events of it, from when on."""
        told = [event for event in page if is_told(event.type)]
        queued, missed = list[queue.Queued](), dict[str, tuple[Endpoint, datetime]]()
        for event, whose in zip(told, await self._whose.of(conn, told), strict=True):
            body = ""
            for endpoint in endpoints:
                if not _is_for(endpoint, event, whose):
                    continue
                if endpoint.overfull:
                    since = missed.get(endpoint.id, (endpoint, event.recorded_at))[1]
                    missed[endpoint.id] = endpoint, min(since, event.recorded_at)
                    continue
                body = body or _encode(envelope(event)).decode()
                queued.append(self._row(endpoint, event, body))
        return queued, [missed[ident] for ident in sorted(missed)]

    async def _missed(self, conn: Conn, endpoint: Endpoint, since: datetime) -> None:
        """Events are not kept for an endpoint: say from when on, until its owner has caught up."""
        if await sql.missed(conn, endpoint.id, since):
            await self._cases.open_in(conn, case_of(endpoint, "overfull", since))

    async def _texts(
        self, conn: Conn, page: Sequence[Written], templates: Sequence[Template]
    ) -> list[Text]:
        """The texts to holders that a page brings about, addressed to no one yet."""
        if not templates:
            return []
        kinds = {template.event_type for template in templates}
        told = [e for e in page if e.type in kinds and e.root and named(e, "card")]
        programmes = await self._whose.programmes(conn, told)
        by_both: dict[tuple[str, str], list[Template]] = {}
        for template in templates:
            by_both.setdefault((template.event_type, template.programme), []).append(template)
        return [
            self._text(template, event)
            for event in told
            for template in by_both.get((event.type, programmes.get(event.root or "", "")), [])
            if event.recorded_at >= template.created_at
        ]

    def _text(self, template: Template, event: Written) -> Text:
        at = now(self._clock)
        return Text(
            id=self._ids.new(),
            template=template.id,
            event=event_id(event),
            card=named(event, "card") or "",
            data=envelope(event).data,
            occurred_at=event.recorded_at,
            state=TextState.WAITING,
            reason=None,
            attempts=0,
            next_at=at,
            created_at=at,
            ended_at=None,
        )

    def _row(self, endpoint: Endpoint, event: Written, body: str) -> queue.Queued:
        made = self._ids.new()
        return queue.Queued(made, endpoint.id, lane_of(event), event_id(event), event.type, body)


def _is_for(endpoint: Endpoint, event: Written, whose: About) -> bool:
    """Whether an endpoint is told an event: asked for, its own, and not of before its time."""
    return (
        wanted(event.type, endpoint.wants)
        and event.recorded_at >= endpoint.created_at
        and may_see(event.type, whose, endpoint.scope, endpoint.verbs)
    )
