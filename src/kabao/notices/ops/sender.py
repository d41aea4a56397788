"""Sends what is due: lanes side by side, within a lane one after the other."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import psycopg
from msgspec.structs import replace

from kabao.base import logs
from kabao.base.clock import Clock, now
from kabao.base.db import Conn, Database
from kabao.base.errors import KabaoError
from kabao.base.ids import Ids, to_edge
from kabao.cases.model import NewCase
from kabao.cases.ops import Cases
from kabao.notices.model.deliveries import Reply, signed_headers
from kabao.notices.model.endpoints import Endpoint, EndpointState, Limits, Pause
from kabao.notices.ops.endpoints import ENDPOINT, TABLE, Endpoints
from kabao.notices.ports import Courier
from kabao.notices.sql import endpoints as sql
from kabao.notices.sql import queue
from kabao.vault.ops import Vault

LANES_AT_ONCE = 8
"""Lanes of one endpoint that one worker sends at a time: a slow endpoint has no more."""
ENDPOINTS_AT_ONCE = 50
TURN = 50
"""Deliveries of a lane before another one's turn."""
SURELY_S = 5
"""A lease lasts as long as a receiver may take, and this; it is renewed with the lane."""
RESTS_FROM = 3
"""Failures in a row after which all of an endpoint rests, and not the one card alone."""
PURGE_BATCH = 5_000

HEADERS = {"content-type": "application/json", "user-agent": "Kabao-Webhooks/1"}

log = logs.get("notices")


class Sender:
    """Takes leases on lanes and sends from them; any number of workers may.

    `round` starts what is due and returns; sending goes on beside it, so that who
    is slow holds up nobody else.
    """

    def __init__(
        self,
        db: Database,
        courier: Courier,
        endpoints: Endpoints,
        cases: Cases,
        vault: Vault,
        ids: Ids,
        clock: Clock,
        chance: Callable[[], float],
    ) -> None:
        """`chance` gives numbers in [0, 1), for pauses that are not all alike."""
        self._db, self._courier, self._endpoints, self._cases = db, courier, endpoints, cases
        self._vault, self._ids, self._clock, self._chance = vault, ids, clock, chance
        self._sending: set[asyncio.Task[None]] = set()
        self._lanes: Counter[str] = Counter()

    async def round(self) -> int:
        """Start sending what is due; for a tick. Returns how many lanes were taken."""
        limits, taken = self._endpoints.limits(), 0
        async with self._db.read() as conn:
            ready = await sql.ready(conn, now(self._clock))
        ready.sort(key=lambda endpoint: self._lanes[endpoint.id])
        for endpoint in ready[:ENDPOINTS_AT_ONCE]:
            room = LANES_AT_ONCE - self._lanes[endpoint.id]
            if room > 0:
                taken += await self._take(endpoint, limits, room)
        return taken

    async def settle(self) -> None:
        """Wait for what is being sent."""
        while self._sending:
            await asyncio.gather(*self._sending, return_exceptions=True)

    async def stop(self) -> None:
        """Stop sending. What was not told is sent again when its lease is over."""
        for task in self._sending:
            task.cancel()
        await self.settle()

    async def tend(self) -> None:
        """Forget what is old, and see for whom too much waits; for a tick."""
        limits, at = self._endpoints.limits(), now(self._clock)
        async with self._db.transaction() as conn:
            await sql.end_old_secrets(conn, at)
            await queue.purge(conn, at - limits.kept, PURGE_BATCH)
            for ident in await sql.weigh(conn, limits.waiting, at):
                endpoint = await sql.get(conn, ident)
                assert endpoint is not None, "its row is locked"
                await self._open_case(conn, endpoint, "overfull")

    # A lane

    async def _take(self, endpoint: Endpoint, limits: Limits, room: int) -> int:
        at = now(self._clock)
        until = at + timedelta(seconds=limits.timeout_s + SURELY_S)
        async with self._db.transaction() as conn:
            leases = await queue.lease(conn, endpoint.id, self._ids.new(), at, until, room)
        for lease in leases:
            self._lanes[endpoint.id] += 1
            task = asyncio.create_task(self._send_lane(endpoint, limits, lease))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        return len(leases)

    async def _send_lane(self, endpoint: Endpoint, limits: Limits, lease: queue.Lease) -> None:
        """Send from a lane until something fails, its turn is over or its lease nearly is."""
        try:
            async with self._db.read() as conn:
                heads = await queue.heads(conn, lease, TURN)
            for head in heads:
                left = lease.until - now(self._clock)
                if left < timedelta(seconds=limits.timeout_s + 1):
                    break
                reply = await self._send(endpoint, limits, head)
                if not reply.delivered:
                    await self._failed(limits, lease, head, reply)
                    return
                if not await self._delivered(endpoint, lease, head, reply):
                    return  # somebody else has the lane now
            async with self._db.transaction() as conn:
                await queue.release(conn, lease, now(self._clock))
        except (KabaoError, psycopg.Error) as away:
            log.warning("notices.lane_left", reason=type(away).__name__)
        finally:
            self._lanes[endpoint.id] -= 1

    async def _send(self, endpoint: Endpoint, limits: Limits, head: queue.Head) -> Reply:
        body = head.body.encode()
        at_s = self._clock.now_us() // 1_000_000
        headers = signed_headers(self._secrets(endpoint), head.event, at_s, body)
        return await self._courier.post(endpoint.url, HEADERS | headers, body, limits.timeout_s)

    def _secrets(self, endpoint: Endpoint) -> list[bytes]:
        """The newest first, and the one before it while both hold."""
        opened = [self._vault.decrypt(TABLE, "secret", endpoint.id, endpoint.secret)]
        if (
            endpoint.old_secret is not None
            and endpoint.old_until is not None
            and now(self._clock) < endpoint.old_until
        ):
            old = self._vault.decrypt(TABLE, "old_secret", endpoint.id, endpoint.old_secret)
            opened.append(old)
        return opened

    async def _delivered(
        self, endpoint: Endpoint, lease: queue.Lease, head: queue.Head, reply: Reply
    ) -> bool:
        async with self._db.transaction() as conn:
            kept = await queue.delivered(conn, lease, head.id, reply, now(self._clock))
            if endpoint.failures and kept:
                found = await sql.get(conn, endpoint.id, lock=True)
                if found is not None and found.failures:
                    await sql.update(
                        conn, replace(found, failures=0, failing_since=None, resting_until=None)
                    )
        return kept

    async def _failed(
        self, limits: Limits, lease: queue.Lease, head: queue.Head, reply: Reply
    ) -> None:
        """Ask again later, or give up; the lane's other events wait, or go on."""
        at, tries = now(self._clock), head.attempts + 1
        dead = tries >= limits.attempts
        next_at = at if dead else at + limits.pause(tries, self._chance())
        async with self._db.transaction() as conn:
            if not await queue.failed(conn, lease, head.id, reply, at, dead=dead):
                return
            await queue.release(conn, lease, next_at, fewer=int(dead))
            await self._count_failure(conn, lease.endpoint, limits, reply)

    async def _count_failure(self, conn: Conn, ident: str, limits: Limits, reply: Reply) -> None:
        """An endpoint that keeps failing rests; after a day of it, it is paused."""
        endpoint = await sql.get(conn, ident, lock=True)
        if endpoint is None:
            return
        at, failures = now(self._clock), endpoint.failures + 1
        since = endpoint.failing_since or at
        rest = None
        if failures >= RESTS_FROM:
            rest = at + limits.pause(failures - RESTS_FROM + 1, self._chance())
        failing = replace(endpoint, failures=failures, failing_since=since, resting_until=rest)
        await sql.update(conn, failing)
        if reply.gone:
            await self._pause(conn, ident, Pause.GONE)
        elif at - since >= limits.failing:
            await self._pause(conn, ident, Pause.FAILING)

    async def _pause(self, conn: Conn, ident: str, why: Pause) -> None:
        """Stop sending to an endpoint until somebody has looked at it."""
        endpoint = await sql.get(conn, ident, lock=True)
        if endpoint is None or endpoint.state is EndpointState.PAUSED:
            return
        await sql.update(conn, replace(endpoint, state=EndpointState.PAUSED, paused_for=why))
        await self._open_case(conn, endpoint, why)

    async def _open_case(self, conn: Conn, endpoint: Endpoint, why: str) -> None:
        since = endpoint.failing_since or now(self._clock)
        edge, stores = to_edge(ENDPOINT, endpoint.id), endpoint.stores or []
        await self._cases.open_in(
            conn,
            NewCase(
                kind="notices.endpoint_failing",
                subject=edge,
                company=endpoint.company,
                store=stores[0] if len(stores) == 1 else None,
                facts={"why": why, "failures": endpoint.failures, "since": since.isoformat()},
                key=f"{edge} {why} {since.isoformat()}",
            ),
        )
