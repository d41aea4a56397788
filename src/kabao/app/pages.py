"""`/`: one page for people, from which everything there is can be reached.

It loads nothing from anywhere and runs no script. What is not built has no
link on it.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from kabao.app.version import CODE_VERSION
from kabao.base.web.binding import PUBLIC

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_HOME = (
    files("kabao.app")
    .joinpath("home.html")
    .read_text(encoding="utf-8")
    .replace("{version}", CODE_VERSION)
    .encode()
)


@get(
    "/",
    opt=PUBLIC,
    tags=["service"],
    operation_id="home",
    media_type="text/html",
    sync_to_thread=False,
)
def home() -> Response[Any]:
    """What this is, and where to go on."""
    return Response(_HOME, media_type="text/html", headers={"content-security-policy": _POLICY})


ROUTES: list[HTTPRouteHandler] = [home]
