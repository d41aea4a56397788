"""`/v1/codes/{code}/check`: say a code that came by SMS.

Sending has no route here: a code goes to the phone a slice above has on record
for a card or a customer, never to one that a caller names.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from kabao.base.clock import rfc3339, to_us
from kabao.base.errors import KabaoError
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import EdgeId, RequestBody
from kabao.base.web.principal import requires
from kabao.proofs.ops import Proofs

CODE = "otp"
_NOBODYS = "0" * 32

Digits = Annotated[str, Meta(min_length=4, max_length=12, pattern="^[0-9]*$")]


class CheckCode(RequestBody, frozen=True):
    """The digits as they stand in the message."""

    code: Digits


class ProofView(msgspec.Struct, frozen=True):
    """A proved code: give `proof` to what it was asked for, before it expires."""

    proof: str
    purpose: str
    expires_at: str


@post("/v1/codes/{code:str}/check", guards=[requires("codes:write")], status_code=200)
async def check_code(data: CheckCode, proofs: Proofs, code: EdgeId) -> ProofView:
    """Judge a code.

    Every try counts, so there is no Idempotency-Key; a right code is proved
    once. Whatever is wrong, the answer is 422 `code_refused`.
    """
    try:
        ident = from_edge(CODE, code)
    except KabaoError:
        ident = _NOBODYS  # answered like an unknown one
    proof = await proofs.check(ident, data.code)
    return ProofView(
        proof=to_edge(CODE, proof.id),
        purpose=proof.purpose,
        expires_at=rfc3339(to_us(proof.expires_at)),
    )


ROUTES: list[HTTPRouteHandler] = [check_code]
