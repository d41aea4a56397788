"""A server process: the whole platform behind the HTTP doors, until SIGTERM."""

from __future__ import annotations

import asyncio
import gc

import uvloop

from kabao.app.channel_figures import channel_levels
from kabao.app.composition import Kabao, composed
from kabao.app.pages import ROUTES as PAGES
from kabao.app.pos import build_host, show_figures
from kabao.app.settings import Settings
from kabao.app.version import CODE_VERSION
from kabao.base.db import fetch_value
from kabao.base.errors import UNAVAILABLE
from kabao.base.process import Child
from kabao.base.web.application import Web
from kabao.base.web.metrics import Figures, Traffic
from kabao.base.web.server import Server, Tls
from kabao.edges.iso8583.host import Host

QUEUE_READY_MAX = 2_000
"""With more commands waiting than this, a process says it is not ready."""


def run(settings: Settings, child: Child) -> None:
    """The entry point of `kabao.app.child`."""
    uvloop.run(_serve(settings, child))


async def _serve(settings: Settings, child: Child) -> None:
    async with composed(settings) as kabao:
        host = build_host(kabao)
        web = build_web(kabao, host, process=str(child.index))
        server = Server(web, tls=_tls(settings))
        serving = asyncio.create_task(server.serve_on(child.sockets["http"]))
        await host.start(child.sockets["pos"])
        # uvicorn tells nobody that it has started.
        while not server.started and not serving.done():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        calm_collector()
        child.ready()
        await serving
        await host.stop()


def calm_collector() -> None:
    """Let the cyclic collector leave alone what lives as long as the process, and
    come rarely: requests make next to no cycles, and looking for them costs a fifth.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def build_web(kabao: Kabao, host: Host | None = None, *, process: str = "0") -> Web:
    """The HTTP side of a composed platform; it tells of the POS host beside it, if there is one."""
    traffic = Traffic()
    folder = kabao.settings.figures
    folder.mkdir(parents=True, exist_ok=True)

    async def database() -> None:
        async with kabao.db.read() as conn:
            await fetch_value(conn, "select 1")

    async def queue() -> None:
        if kabao.ledger.waiting > QUEUE_READY_MAX:
            raise UNAVAILABLE.error("The ledger's queue is long.")

    async def pos() -> None:
        if host is not None and not host.is_serving:
            raise UNAVAILABLE.error("The POS host does not accept connections.")

    figures = Figures(traffic, process=process, folder=folder)
    figures.registry.register(kabao.funding.refused)
    for levels in channel_levels(kabao.funding):
        figures.registry.register(levels)
    if host is not None:
        show_figures(host, figures)
    return Web(
        routes=[*kabao.routes, *PAGES],
        hot=kabao.hot_routes,
        keys=kabao.access.ring,
        provided=kabao.provided,
        checks={"database": database, "queue": queue, "pos": pos},
        traffic=traffic,
        figures=figures,
        version=CODE_VERSION,
    )


def _tls(settings: Settings) -> Tls | None:
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return Tls(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
