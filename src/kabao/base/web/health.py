"""`/healthz`, `/readyz`, `/metrics`: for whoever keeps the process running."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from kabao.base.errors import UNAVAILABLE
from kabao.base.logs import describe
from kabao.base.web.binding import PUBLIC
from kabao.base.web.metrics import CONTENT_TYPE, Figures

Check: TypeAlias = Callable[[], Awaitable[None]]
"""Returns if all is well and raises if not; asked at every `/readyz`."""

CHECK_S = 2.0

_log = logging.getLogger("kabao.web")


class Health(msgspec.Struct, frozen=True):
    """The process is alive, or ready."""

    status: str
    checks: dict[str, str] = {}


def health_routes(checks: Mapping[str, Check], figures: Figures) -> list[HTTPRouteHandler]:
    """The three routes. They answer without a key and tell nothing of the business."""

    @get("/healthz", opt=PUBLIC, tags=["service"], operation_id="healthz", sync_to_thread=False)
    def healthz() -> Health:
        """The process is alive: its event loop answers."""
        return Health("alive")

    @get("/readyz", opt=PUBLIC, tags=["service"], operation_id="readyz")
    async def readyz() -> Health:
        """The process can do its work: the database answers, the queue has room.

        503 names the checks that failed.
        """
        found = await asyncio.gather(*(_ask(name, check) for name, check in checks.items()))
        if bad := [name for name, well in zip(checks, found, strict=True) if not well]:
            raise UNAVAILABLE.error(f"Not ready: {', '.join(bad)}.")
        return Health("ready", dict.fromkeys(checks, "ok"))

    @get(
        "/metrics",
        opt=PUBLIC,
        tags=["service"],
        operation_id="metrics",
        media_type="text/plain",
        sync_to_thread=False,
    )
    def metrics() -> Response[str]:
        """Figures in the Prometheus text format, of every process on this socket."""
        return Response(figures.render(), media_type=CONTENT_TYPE)  # type: ignore[arg-type]  # bytes of a str

    return [healthz, readyz, metrics]


async def _ask(name: str, check: Check) -> bool:
    try:
        async with asyncio.timeout(CHECK_S):
            await check()
    except Exception as exc:  # noqa: BLE001  # whatever it is, the answer is "not ready"
        _log.warning("check %s failed: %s", name, describe(exc))
        return False
    return True
