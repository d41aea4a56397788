"""`/v1/customers/{customer}/consents` and `/verifications`."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from msgspec import Meta

from kabao.base.clock import rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import RequestBody
from kabao.base.web.once import Once
from kabao.base.web.pages import (
    DEFAULT_LIMIT,
    Cursor,
    IdPosition,
    Limit,
    Page,
    page,
    position,
)
from kabao.base.web.principal import Principal, requires
from kabao.customers.http.customers import ConsentBody
from kabao.customers.http.scope import CONSENT, CUSTOMER, VERIFICATION, visible
from kabao.customers.model import (
    ATTESTABLE,
    METHOD_NOT_ATTESTABLE,
    Consent,
    ConsentKind,
    Level,
    Method,
    NewConsent,
    Verification,
)
from kabao.customers.ops import Customers

Reference = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern="^[A-Za-z0-9_.:/-]*$",
        description="The verifier's own number for it; nothing personal.",
    ),
]

# --- consents ---------------------------------------------------------------


class ConsentView(msgspec.Struct, frozen=True):
    """One thing agreed to, and until when."""

    id: str
    customer: str
    kind: ConsentKind
    version: str
    document_hash: str
    given_at: str
    withdrawn_at: str | None


def _consent_view(consent: Consent) -> ConsentView:
    withdrawn = consent.withdrawn_at
    return ConsentView(
        id=to_edge(CONSENT, consent.id),
        customer=to_edge(CUSTOMER, consent.customer),
        kind=consent.kind,
        version=consent.version,
        document_hash=consent.document_hash,
        given_at=rfc3339(to_us(consent.given_at)),
        withdrawn_at=None if withdrawn is None else rfc3339(to_us(withdrawn)),
    )


@post("/v1/customers/{customer:str}/consents", guards=[requires("customers:write")])
async def give_consent(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: ConsentBody,
    once: Once,
    customers: Customers,
    customer: str,
) -> Response[ConsentView]:
    """Record what a customer has agreed to."""

    async def work(conn: Conn) -> ConsentView:
        ident = await visible(conn, principal, customers, customer)
        new = NewConsent(kind=data.kind, version=data.version, document_hash=data.document_hash)
        return _consent_view(await customers.give_consent(conn, ident, new, principal.id))

    return await once(request, principal, data, work)


@get("/v1/customers/{customer:str}/consents", guards=[requires("customers:read")])
async def list_consents(
    principal: Principal,
    db: Database,
    customers: Customers,
    customer: str,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[ConsentView]:
    """List a customer's consents, withdrawn ones too."""
    found = position(cursor, tuple[IdPosition])
    async with db.read() as conn:
        rows = await customers.consents(
            conn,
            await visible(conn, principal, customers, customer),
            after=None if found is None else found[0],
            limit=limit + 1,
        )
    return page(rows, limit, _consent_view, lambda consent: (consent.id,))


@post(
    "/v1/customers/{customer:str}/consents/{consent:str}/withdraw",
    guards=[requires("customers:write")],
    status_code=200,
)
async def withdraw_consent(
    request: Request[Any, Any, Any],
    principal: Principal,
    once: Once,
    customers: Customers,
    customer: str,
    consent: str,
) -> Response[ConsentView]:
    """Take a consent back, for the future."""

    async def work(conn: Conn) -> ConsentView:
        ident = await visible(conn, principal, customers, customer)
        return _consent_view(
            await customers.withdraw_consent(conn, ident, from_edge(CONSENT, consent))
        )

    return await once(request, principal, None, work)


# --- verifications ----------------------------------------------------------


class Attest(RequestBody, frozen=True):
    """Staff have seen the customer's document and its bearer."""

    method: Method
    reference: Reference | None = None


class Attested(msgspec.Struct, frozen=True):
    """How far the real name is proven now."""

    customer: str
    level: Level


class VerificationView(msgspec.Struct, frozen=True):
    """One proof of a real name, and since when it is void."""

    id: str
    customer: str
    method: Method
    reference: str | None
    verified_at: str
    voided_at: str | None


def _verification_view(verification: Verification) -> VerificationView:
    voided = verification.voided_at
    return VerificationView(
        id=to_edge(VERIFICATION, verification.id),
        customer=to_edge(CUSTOMER, verification.customer),
        method=verification.method,
        reference=verification.reference,
        verified_at=rfc3339(to_us(verification.verified_at)),
        voided_at=None if voided is None else rfc3339(to_us(voided)),
    )


@post("/v1/customers/{customer:str}/verifications", guards=[requires("customers:verify")])
async def attest(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: Attest,
    once: Once,
    customers: Customers,
    customer: str,
) -> Response[Attested]:
    """State that a customer's document was seen at the counter.

    Other methods are refused: their outcome comes from their verifier.
    """

    async def work(conn: Conn) -> Attested:
        ident = await visible(conn, principal, customers, customer)
        if data.method not in ATTESTABLE:
            raise METHOD_NOT_ATTESTABLE.error(rule="ruling 15", field="method")
        seen = await customers.verify(
            conn, ident, data.method, by=principal.id, reference=data.reference
        )
        return Attested(customer=to_edge(CUSTOMER, seen.id), level=seen.level)

    return await once(request, principal, data, work)


@get("/v1/customers/{customer:str}/verifications", guards=[requires("customers:read")])
async def list_verifications(
    principal: Principal,
    db: Database,
    customers: Customers,
    customer: str,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[VerificationView]:
    """List a customer's verifications, void ones too."""
    found = position(cursor, tuple[IdPosition])
    async with db.read() as conn:
        rows = await customers.verifications(
            conn,
            await visible(conn, principal, customers, customer),
            after=None if found is None else found[0],
            limit=limit + 1,
        )
    return page(rows, limit, _verification_view, lambda verification: (verification.id,))


ROUTES = [give_consent, list_consents, withdraw_consent, attest, list_verifications]
