"""Endpoints and their deliveries, for the people who own them."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from kabao.access.model import scope_of
from kabao.base.clock import BusinessDays, Clock, now, rfc3339
from kabao.base.db import Conn
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import Ids, to_edge
from kabao.base.web.principal import Principal
from kabao.cases.model import NewCase
from kabao.notices.model.addresses import is_address, is_public
from kabao.notices.model.deliveries import (
    NOT_REPLAYABLE,
    SECRET_BYTES,
    Delivery,
    DeliveryState,
    shown_secret,
)
from kabao.notices.model.endpoints import (
    ADDRESS_REFUSED,
    ENDPOINT_STATE,
    TOO_MANY_ENDPOINTS,
    Endpoint,
    EndpointState,
    Limits,
    NewEndpoint,
    Pause,
)
from kabao.notices.model.events import READ_VERBS, Envelope
from kabao.notices.sql import endpoints as sql
from kabao.notices.sql import queue
from kabao.policy.ops import Policy
from kabao.vault.ops import Vault

ENDPOINT, DELIVERY = "whe", "whd"
TABLE = "notices.endpoint"
TEST = "webhook.tested"
ENDPOINTS_LISTED = 10_000
"""More than there can be in a group: its companies times what policy allows each."""

_encode = msgspec.json.Encoder().encode


class Made(msgspec.Struct, frozen=True):
    """An endpoint with its new secret, which nobody is shown again."""

    endpoint: Endpoint
    secret: str


class Endpoints:
    """Who wants to be told. Writing verbs take the caller's transaction.

    A key sees an endpoint that is told nothing the key may not see itself.
    """

    def __init__(
        self,
        vault: Vault,
        policy: Policy,
        ids: Ids,
        clock: Clock,
        days: BusinessDays,
        *,
        private: bool,
    ) -> None:
        """`private` allows addresses that are not public, and plain http: never in service."""
        self._vault, self._policy, self._ids = vault, policy, ids
        self._clock, self._days, self._private = clock, days, private

    def limits(self) -> Limits:
        """What policy says today."""
        on = self._days.of(self._clock.now_us())
        return Limits.of(self._policy.rules(jurisdiction="national", on=on))

    async def add(self, conn: Conn, principal: Principal, new: NewEndpoint) -> Made:
        """An endpoint that is told what this key may see, from now on.

        Raises:
            KabaoError: `invalid` (url, event_types), `webhook_address_refused`,
                `too_many_webhook_endpoints`.
        """
        self._check(new)
        limits, scope = self.limits(), scope_of(principal)
        if await sql.count(conn, scope.company) >= limits.endpoints:
            raise TOO_MANY_ENDPOINTS.error(rule=limits.endpoints_row)
        ident, raw = self._ids.new(), secrets.token_bytes(SECRET_BYTES)
        endpoint = Endpoint(
            id=ident,
            company=scope.company,
            companies=_listed(scope.companies),
            stores=_listed(scope.stores),
            verbs=sorted(principal.verbs & READ_VERBS),
            url=new.url,
            description=new.description,
            types=None if new.types is None else list(new.types),
            state=EndpointState.ACTIVE,
            paused_for=None,
            secret=self._vault.encrypt(TABLE, "secret", ident, raw),
            old_secret=None,
            old_until=None,
            failures=0,
            failing_since=None,
            resting_until=None,
            overfull=False,
            missed_from=None,
            created_at=now(self._clock),
        )
        await sql.insert(conn, endpoint)
        return Made(endpoint, shown_secret(raw))

    async def get(
        self, conn: Conn, principal: Principal, ident: str, *, lock: bool = False
    ) -> Endpoint:
        """An endpoint this key may see. Raises `not_found`."""
        found = await sql.get(conn, ident, lock=lock)
        if found is None or not _covers(principal, found):
            raise NOT_FOUND.error("There is no such webhook endpoint.")
        return found

    async def search(
        self, conn: Conn, principal: Principal, *, before: str | None, limit: int
    ) -> list[Endpoint]:
        """The endpoints this key may see, newest first."""
        return await sql.search(
            conn,
            companies=principal.companies,
            stores=principal.stores,
            verbs=principal.verbs,
            before=before,
            limit=limit,
        )

    async def change(
        self, conn: Conn, principal: Principal, ident: str, new: NewEndpoint
    ) -> Endpoint:
        """Another address, description or choice of events. Raises as `add`, and `not_found`."""
        self._check(new)
        endpoint = await self.get(conn, principal, ident, lock=True)
        changed = replace(
            endpoint,
            url=new.url,
            description=new.description,
            types=None if new.types is None else list(new.types),
        )
        await sql.update(conn, changed)
        return changed

    async def rotate(self, conn: Conn, principal: Principal, ident: str) -> Made:
        """A new secret; for a while the one before signs as well. Raises `not_found`."""
        endpoint = await self.get(conn, principal, ident, lock=True)
        raw = secrets.token_bytes(SECRET_BYTES)
        old = self._vault.decrypt(TABLE, "secret", ident, endpoint.secret)
        rotated = replace(
            endpoint,
            secret=self._vault.encrypt(TABLE, "secret", ident, raw),
            old_secret=self._vault.encrypt(TABLE, "old_secret", ident, old),
            old_until=now(self._clock) + self.limits().overlap,
        )
        await sql.update(conn, rotated)
        return Made(rotated, shown_secret(raw))

    async def pause(self, conn: Conn, principal: Principal, ident: str) -> Endpoint:
        """Send nothing for now; events are kept. Raises `not_found`, `webhook_endpoint_state`."""
        endpoint = await self.get(conn, principal, ident, lock=True)
        if endpoint.state is not EndpointState.ACTIVE:
            raise ENDPOINT_STATE.error("It is paused already.")
        paused = replace(endpoint, state=EndpointState.PAUSED, paused_for=Pause.BY_HAND)
        await sql.update(conn, paused)
        return paused

    async def resume(self, conn: Conn, principal: Principal, ident: str) -> Endpoint:
        """Send again, what waits first. What it missed meanwhile is in `GET /v1/events`.

        Raises `not_found`, `webhook_endpoint_state`.
        """
        endpoint = await self.get(conn, principal, ident, lock=True)
        if endpoint.state is not EndpointState.PAUSED:
            raise ENDPOINT_STATE.error("It is not paused.")
        resumed = replace(
            endpoint,
            state=EndpointState.ACTIVE,
            paused_for=None,
            failures=0,
            failing_since=None,
            resting_until=None,
        )
        await sql.update(conn, resumed)
        return resumed

    async def caught_up(self, conn: Conn, principal: Principal, ident: str) -> Endpoint:
        """What it missed was fetched: `missed_from` begins anew. Raises `not_found`."""
        endpoint = await self.get(conn, principal, ident, lock=True)
        caught_up = replace(endpoint, missed_from=None)
        await sql.update(conn, caught_up)
        return caught_up

    async def remove(self, conn: Conn, principal: Principal, ident: str) -> None:
        """Forget an endpoint and what waits for it. Raises `not_found`."""
        await self.get(conn, principal, ident)
        await sql.delete(conn, ident)

    async def test(self, conn: Conn, principal: Principal, ident: str) -> Delivery:
        """Send an event that tells nothing, also to an endpoint that did not ask for such.

        Raises `not_found`.
        """
        endpoint = await self.get(conn, principal, ident)
        event, at = f"evt_{self._ids.new()}", now(self._clock)
        data: dict[str, Any] = {"endpoint": to_edge(ENDPOINT, endpoint.id)}
        at_text = rfc3339(self._clock.now_us())
        body = _encode(Envelope(event, TEST, 1, at_text, None, None, data)).decode()
        made = self._ids.new()
        row = queue.Queued(made, endpoint.id, "0" * 32, event, TEST, body)
        await queue.enqueue(conn, [row], at)
        found = await queue.get(conn, made)
        assert found is not None, "it was written just now"
        return found

    # Deliveries

    async def delivery(
        self, conn: Conn, principal: Principal, ident: str, *, lock: bool = False
    ) -> Delivery:
        """A delivery to an endpoint this key may see. Raises `not_found`."""
        found = await queue.get(conn, ident, lock=lock)
        if found is not None:
            endpoint = await sql.get(conn, found.endpoint)
            if endpoint is not None and _covers(principal, endpoint):
                return found
        raise NOT_FOUND.error("There is no such delivery.")

    async def deliveries(
        self,
        conn: Conn,
        principal: Principal,
        *,
        endpoint: str | None,
        state: DeliveryState | None,
        event: str | None,
        before: str | None,
        limit: int,
    ) -> list[Delivery]:
        """Deliveries to one endpoint, or to all this key may see, newest first.

        Raises `not_found` (endpoint).
        """
        if endpoint is not None:
            wanted = [(await self.get(conn, principal, endpoint)).id]
        else:
            seen = await self.search(conn, principal, before=None, limit=ENDPOINTS_LISTED)
            wanted = [one.id for one in seen]
        return await queue.search(
            conn, wanted, state=state, event=event, before=before, limit=limit
        )

    async def replay(self, conn: Conn, principal: Principal, ident: str) -> Delivery:
        """Send a delivery once more, dead or delivered.

        It goes before what waits in its lane, so a dead event comes late, and
        others of its card have come before it: `sequence` tells.

        Raises `not_found`, `delivery_is_waiting`.
        """
        delivery = await self.delivery(conn, principal, ident, lock=True)
        if delivery.state is DeliveryState.WAITING:
            raise NOT_REPLAYABLE.error()
        await queue.again(conn, delivery, now(self._clock))
        return await self.delivery(conn, principal, ident)

    def _check(self, new: NewEndpoint) -> None:
        new.check(private=self._private)
        host = urlsplit(new.url).hostname or ""
        if not self._private and is_address(host) and not is_public(host):
            raise ADDRESS_REFUSED.error(rule="ATK-9", field="url")


def _covers(principal: Principal, endpoint: Endpoint) -> bool:
    """Whether it is told nothing that this key may not see."""
    return scope_of(principal).covers(endpoint.scope) and principal.verbs.issuperset(endpoint.verbs)


def case_of(endpoint: Endpoint, why: str, since: datetime) -> NewCase:
    """Somebody must look at an endpoint: it fails, or misses events, since then."""
    edge, stores = to_edge(ENDPOINT, endpoint.id), endpoint.stores or []
    return NewCase(
        kind="notices.endpoint_failing",
        subject=edge,
        company=endpoint.company,
        store=stores[0] if len(stores) == 1 else None,
        facts={"why": why, "failures": endpoint.failures, "since": since.isoformat()},
        key=f"{edge} {why} {since.isoformat()}",
    )


def _listed(ids: frozenset[str] | None) -> list[str] | None:
    return None if ids is None else sorted(ids)
