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
from kabao.base.ids import Ids
from kabao.base.web.metrics import Counts
from kabao.cases.ops import Cases
from kabao.notices.model.deliveries import Reply, signed_headers
from kabao.notices.model.endpoints import Endpoint, EndpointState, Limits, Pause
from kabao.notices.ops.endpoints import TABLE, Endpoints, case_of
from kabao.notices.ports import Courier
from kabao.notices.sql import endpoints as sql
from kabao.notices.sql import queue
from kabao.vault.ops import Vault

LANES_AT_ONCE = 16
"""Lanes of one endpoint that one worker sends at a time: a slow endpoint has no more."""
OF_A_COMPANY = 32
"""Lanes of all its endpoints together: a slow company has no more."""
AT_ONCE = 256
"""Lanes of everybody; the courier has a connection for each."""
ENDPOINTS_AT_ONCE = 50
BUSY = timedelta(seconds=1)
"""When we were too busy to ask, we try again."""
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
        self._of_company: Counter[str] = Counter()
        self._waiting: frozenset[str] = frozenset()
        self.attempts = Counts(
            "kabao_webhook_attempts", "Deliveries that were tried, by how that went.", ("outcome",)
        )
        self.dead = Counts("kabao_webhook_dead", "Deliveries that were given up.")

    async def round(self) -> int:
        """Start sending what is due; for a tick. Returns how many lanes were taken."""
        limits, taken = self._endpoints.limits(), 0
        async with self._db.read() as conn:
            ready = await sql.ready(conn, now(self._clock))
        ready.sort(key=lambda one: (self._of_company[one.company], self._lanes[one.id]))
        waiting = set[str]()
        for endpoint in ready[:ENDPOINTS_AT_ONCE]:
            room = self._room(endpoint)
            if room > 0:
                taken += await self._take(endpoint, limits, room)
            elif self._lanes[endpoint.id] < LANES_AT_ONCE:
                waiting.add(endpoint.company)
        self._waiting = frozenset(waiting)
        return taken

    def _room(self, endpoint: Endpoint) -> int:
        """How many more of its lanes may be sent now."""
        return min(
            LANES_AT_ONCE - self._lanes[endpoint.id],
            OF_A_COMPANY - self._of_company[endpoint.company],
            AT_ONCE - len(self._sending),
        )

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
            await queue.purge_orphans(conn)
            await sql.weigh(conn, limits.waiting)

    # A lane

    async def _take(self, endpoint: Endpoint, limits: Limits, room: int) -> int:
        async with self._db.transaction() as conn:
            leases = await self._lease(conn, endpoint.id, limits, room)
        for lease in leases:
            self._lanes[endpoint.id] += 1
            self._of_company[endpoint.company] += 1
            task = asyncio.create_task(self._send_lanes(endpoint, limits, lease))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        return len(leases)

    async def _lease(self, conn: Conn, ident: str, limits: Limits, room: int) -> list[queue.Lease]:
        at = now(self._clock)
        until = at + timedelta(seconds=limits.timeout_s + SURELY_S)
        return await queue.lease(conn, ident, self._ids.new(), at, until, room)

    async def _send_lanes(self, endpoint: Endpoint, limits: Limits, lease: queue.Lease) -> None:
        """Send lane after lane of an endpoint while any is due, without waiting for a tick."""
        ident, company = endpoint.id, endpoint.company
        try:
            more: tuple[Endpoint, queue.Lease] | None = endpoint, lease
            while more is not None:
                await self._send_lane(more[0], limits, more[1])
                more = await self._next(ident, company, limits)
        except (KabaoError, psycopg.Error) as away:
            log.warning("notices.lane_left", reason=type(away).__name__)
        finally:
            self._lanes[ident] -= 1
            self._of_company[company] -= 1

    async def _next(
        self, ident: str, company: str, limits: Limits
    ) -> tuple[Endpoint, queue.Lease] | None:
        """The endpoint's next lane, with the endpoint as it is by now; None gives way to others."""
        if company in self._waiting or len(self._sending) >= AT_ONCE:
            return None
        async with self._db.transaction() as conn:
            endpoint = await sql.get(conn, ident)
            if endpoint is None or not endpoint.may_be_sent(now(self._clock)):
                return None
            leases = await self._lease(conn, ident, limits, 1)
        return (endpoint, leases[0]) if leases else None

    async def _send_lane(self, endpoint: Endpoint, limits: Limits, lease: queue.Lease) -> None:
        """Send from a lane until something fails, its turn is over or its lease nearly is."""
        async with self._db.read() as conn:
            heads = await queue.heads(conn, lease, TURN)
        for head in heads:
            left = lease.until - now(self._clock)
            if left < timedelta(seconds=limits.timeout_s + 1):
                break
            reply = await self._send(endpoint, limits, head)
            self.attempts.add(reply.outcome)
            if reply.not_sent:
                async with self._db.transaction() as conn:
                    await queue.release(conn, lease, now(self._clock) + BUSY)
                return
            if not reply.delivered:
                await self._failed(limits, lease, head, reply)
                return
            if not await self._delivered(lease, head, reply):
                return  # somebody else has the lane now
        async with self._db.transaction() as conn:
            await queue.release(conn, lease, now(self._clock))

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

    async def _delivered(self, lease: queue.Lease, head: queue.Head, reply: Reply) -> bool:
        async with self._db.transaction() as conn:
            kept = await queue.delivered(conn, lease, head.id, reply, now(self._clock))
            if kept:
                await sql.recovered(conn, lease.endpoint)
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
        if dead:
            self.dead.add()

    async def _count_failure(self, conn: Conn, ident: str, limits: Limits, reply: Reply) -> None:
        """An endpoint that keeps failing rests; after a day of it, it is paused."""
        endpoint = await sql.get(conn, ident, lock=True)
        if endpoint is None:
            return
        at, failures = now(self._clock), endpoint.failures + 1
        if reply.gone:
            await self._pause(conn, endpoint, Pause.GONE)
            return
        if not endpoint.may_be_sent(at):
            return  # lanes that failed together are one failure
        since = endpoint.failing_since or at
        rest = None
        if failures >= RESTS_FROM:
            rest = at + limits.pause(failures - RESTS_FROM + 1, self._chance())
        failing = replace(endpoint, failures=failures, failing_since=since, resting_until=rest)
        await sql.update(conn, failing)
        if at - since >= limits.failing:
            await self._pause(conn, failing, Pause.FAILING)

    async def _pause(self, conn: Conn, endpoint: Endpoint, why: Pause) -> None:
        """Stop sending to an endpoint until somebody has looked at it."""
        if endpoint.state is EndpointState.PAUSED:
            return
        await sql.update(conn, replace(endpoint, state=EndpointState.PAUSED, paused_for=why))
        since = endpoint.failing_since or now(self._clock)
        await self._cases.open_in(conn, case_of(endpoint, why, since))
