"""`/v1/notifications`: what payment channels send by themselves. No key of ours: they sign."""

from __future__ import annotations

from typing import Any

from litestar import Request, post
from litestar.response import Response

from kabao.base.errors import TOO_LARGE
from kabao.base.ids import from_edge
from kabao.base.web.binding import PUBLIC, RAW
from kabao.funding.model.answers import Incoming
from kabao.funding.model.channels import CHANNEL
from kabao.funding.ops import Funding

BODY_MAX = 64 << 10
"""Bytes; no channel's notification comes near."""


@post("/v1/notifications/{channel:str}", opt=PUBLIC | RAW, status_code=200)
async def notify(
    request: Request[Any, Any, Any], channel: str, funding: Funding
) -> Response[bytes]:
    """Take a notification of a payment channel.

    Its body, its signature and the answer are those of the channel's protocol; what
    cannot be verified gets the channel's own failure answer and changes nothing. Whoever
    sends too much of that gets 429 for the rest of the minute (ATK-9).
    """
    body = await request.body()
    if len(body) > BODY_MAX:
        raise TOO_LARGE.error("A notification is smaller than that.")
    headers = {name.lower(): value for name, value in request.headers.items()}
    peer = request.client.host if request.client else ""
    reply = await funding.notify(from_edge(CHANNEL, channel), Incoming(headers, body, peer))
    return Response(reply.body, status_code=reply.status, media_type=reply.content_type)


ROUTES = [notify]
