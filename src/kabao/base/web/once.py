"""One effect per Idempotency-Key, and the same answer every time.

The key is claimed in the transaction that does the work, so both are there or
neither is. A second request with the same key waits at the unique index until
the first has committed, then reads what it answered; if the first rolled back,
the second becomes the first. Only 2xx answers are kept: after a refusal the
same key may be tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Protocol, TypeVar

import msgspec
from litestar import Request, Response
from psycopg.errors import LockNotAvailable

from kabao.base.clock import Clock, now
from kabao.base.db import Conn, Database
from kabao.base.errors import KEY_BARRED, KEY_IN_FLIGHT, KEY_REUSED, SECRET_SHOWN
from kabao.base.web import sql
from kabao.base.web.answers import JSON
from kabao.base.web.binding import Route
from kabao.base.web.fields import KEY_HEADER, idempotency_key
from kabao.base.web.principal import Principal

T = TypeVar("T")

WAIT_S = 4.0
"""How long the second request with a key waits for the first."""

PURGE_BATCH = 1_000

BARRED = bytes(32)
"""In place of the MAC of a request that never came and is refused if it does."""

_canonical = msgspec.json.Encoder(order="deterministic").encode
_encode = msgspec.json.Encoder().encode


class Sealer(Protocol):
    """Encrypts answers that hold a one-time secret; the vault fits as it is."""

    def encrypt(self, table: str, column: str, record_id: str, plain: bytes) -> bytes:
        """Seal, bound to the place it is stored at."""
        ...

    def decrypt(self, table: str, column: str, record_id: str, sealed: bytes) -> bytes:
        """Open what `encrypt` made for the same place."""
        ...


class Once:
    """`return await once(request, principal, data, work)` in every POST handler."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        mac: Callable[[bytes], bytes],
        sealer: Sealer,
        secret_hours: Callable[[], int],
        *,
        wait_s: float = WAIT_S,
    ) -> None:
        """Bind the collaborators.

        Args:
            db: where the claims are kept.
            clock: tells how old a sealed answer is.
            mac: a keyed hash of 32 bytes, `lambda b: vault.mac("idempotency", b)`.
            sealer: the vault.
            secret_hours: how long a sealed answer may be read again (policy).
            wait_s: how long the second request with a key waits for the first.
        """
        self._db, self._clock, self._mac = db, clock, mac
        self._sealer, self._secret_hours, self._wait_s = sealer, secret_hours, wait_s
        self._at_work: dict[tuple[str, str, str], asyncio.Event] = {}

    async def __call__(
        self,
        request: Request[Any, Any, Any],
        principal: Principal,
        data: Any,
        work: Callable[[Conn], Awaitable[T]],
        *,
        status: int | None = None,
        secret: bool = False,
    ) -> Response[T]:
        """Do the work once, in one transaction with the claim of the key.

        Args:
            request: carries the key, the route and the path parameters.
            principal: the key's scope is its company.
            data: the parsed body, or None; with the path it must be the same
                whenever the key comes again.
            work: does everything on the connection it is given; what it
                returns is the body of the answer.
            status: of the answer; as the route declares it, unless given.
            secret: the answer holds a secret: keep it sealed, and not for long.

        Raises:
            KabaoError: `idempotency_key_missing`, `idempotency_key_reused`,
                `idempotency_key_in_flight`, `secret_already_shown`, and
                whatever `work` raises.
        """
        route: Route = request.route_handler.opt["route"]
        place = _place(request, principal)
        mac = self._mac(_canonical([dict(request.path_params), data]))
        declared = route.status if status is None else status
        await self._alone(place)
        self._at_work[place] = done = asyncio.Event()
        try:
            answered, body = await self._claim_and_work(place, mac, work, declared, secret=secret)
        finally:
            del self._at_work[place]
            done.set()
        return Response(body, status_code=answered, media_type=JSON)  # type: ignore[arg-type]  # T, encoded

    async def answered(self, request: Request[Any, Any, Any], principal: Principal) -> bool:
        """Whether this key has its answer: `work` would not run again."""
        async with self._db.read() as conn:
            return await sql.kept(conn, *_place(request, principal)) is not None

    async def told(self, conn: Conn, company: str, route: str, key: str) -> bytes | None:
        """What was answered to a request of this key on a route that tells no secrets,
        `POST /v1/things`; None if none came.
        """
        kept = await sql.kept(conn, company, route, key)
        return None if kept is None or kept.mac == BARRED else kept.body

    async def bar(self, conn: Conn, company: str, route: str, key: str) -> bool:
        """Refuse a request of this key from now on. False if one was answered before;
        one at work is waited for.

        Raises `idempotency_key_in_flight`.
        """
        await sql.limit_lock_wait(conn, int(self._wait_s * 1000))
        try:
            first = await sql.claim(
                conn, company, route, key, BARRED, now(self._clock), sealed=False
            )
        except LockNotAvailable:
            raise KEY_IN_FLIGHT.error() from None
        if first:
            await sql.keep(conn, company, route, key, 204, b"")
            return True
        return await self.told(conn, company, route, key) is None

    async def _alone(self, place: tuple[str, str, str]) -> None:
        """Wait for the same key in this process without holding a connection.

        Else twenty impatient retries of one slow request would empty the pool.
        """
        try:
            async with asyncio.timeout(self._wait_s):
                while (first := self._at_work.get(place)) is not None:
                    await first.wait()
        except TimeoutError:
            raise KEY_IN_FLIGHT.error() from None

    async def _claim_and_work(
        self,
        place: tuple[str, str, str],
        mac: bytes,
        work: Callable[[Conn], Awaitable[Any]],
        status: int,
        *,
        secret: bool,
    ) -> tuple[int, bytes]:
        async with self._db.transaction() as conn:
            await sql.limit_lock_wait(conn, int(self._wait_s * 1000))
            try:
                first = await sql.claim(conn, *place, mac, now(self._clock), sealed=secret)
            except LockNotAvailable:
                raise KEY_IN_FLIGHT.error() from None
            if not first:
                return await self._answer_again(conn, place, mac)
            body = _encode(await work(conn))
            stored = self._seal(place, body) if secret else body
            await sql.keep(conn, *place, status, stored)
            return status, body

    async def _answer_again(
        self, conn: Conn, place: tuple[str, str, str], mac: bytes
    ) -> tuple[int, bytes]:
        kept = await sql.kept(conn, *place)
        assert kept is not None, "keys are never deleted"
        if kept.mac == BARRED:
            raise KEY_BARRED.error(rule="P-19")
        if kept.mac != mac:
            raise KEY_REUSED.error()
        if not kept.sealed:
            assert kept.body is not None, "only sealed answers are purged"
            return kept.status, kept.body
        readable = timedelta(hours=self._secret_hours())
        if kept.body is None or now(self._clock) - kept.created_at >= readable:
            raise SECRET_SHOWN.error()
        return kept.status, self._sealer.decrypt(*_SEALED_AT, " ".join(place), kept.body)

    def _seal(self, place: tuple[str, str, str], body: bytes) -> bytes:
        return self._sealer.encrypt(*_SEALED_AT, " ".join(place), body)

    async def purge(self) -> int:
        """Forget sealed answers whose time is up; for a job. Returns how many."""
        before = now(self._clock) - timedelta(hours=self._secret_hours())
        purged = 0
        while True:
            async with self._db.transaction() as conn:
                batch = await sql.purge_secrets(conn, before, PURGE_BATCH)
            purged += batch
            if batch < PURGE_BATCH:
                return purged


def _place(request: Request[Any, Any, Any], principal: Principal) -> tuple[str, str, str]:
    """Where a key is claimed: company, route, key."""
    route: Route = request.route_handler.opt["route"]
    key = idempotency_key(request.headers.get(KEY_HEADER))
    return principal.company, f"{route.method} {route.path}", key


_SEALED_AT = ("base.idempotency", "body")
