"""`/v1/customers`: meet, look at, correct, find."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, patch, post
from msgspec import UNSET, Meta, UnsetType

from kabao.base.clock import rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.errors import INVALID, NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import LINE, EdgeId, RequestBody
from kabao.base.web.once import Once
from kabao.base.web.principal import Principal, requires
from kabao.customers.http.scope import COMPANY, CUSTOMER, visible
from kabao.customers.model import (
    ConsentKind,
    Customer,
    CustomerChange,
    CustomerState,
    Level,
    NewConsent,
    NewCustomer,
    Party,
)
from kabao.customers.ops import Customers
from kabao.customers.personal import (
    Identity,
    IdentityType,
    masked_address,
    masked_email,
    masked_identity,
    masked_name,
    masked_phone,
)

Name = Annotated[str, Meta(min_length=1, max_length=120, pattern=LINE)]
Phone = Annotated[
    str,
    Meta(min_length=11, max_length=32, pattern=LINE, description="A mainland mobile number."),
]
IdentityNumber = Annotated[str, Meta(min_length=5, max_length=40, pattern=LINE)]
Address = Annotated[str, Meta(min_length=1, max_length=255, pattern=LINE)]
Email = Annotated[str, Meta(min_length=3, max_length=254, pattern=LINE)]
DocumentVersion = Annotated[str, Meta(min_length=1, max_length=32, pattern=LINE)]
DocumentHash = Annotated[
    str,
    Meta(
        min_length=64,
        max_length=64,
        pattern="^[0-9a-f]*$",
        description="SM3 or SHA-256 of the document, in hex.",
    ),
]


class IdentityBody(RequestBody, frozen=True):
    """A document and its number."""

    type: IdentityType
    number: IdentityNumber


class ConsentBody(RequestBody, frozen=True):
    """What was agreed to, in which version of the document."""

    kind: ConsentKind
    version: DocumentVersion
    document_hash: DocumentHash


class CreateCustomer(RequestBody, frozen=True):
    """A holder or buyer becomes known to a company (the key's own if none is named)."""

    party: Party
    name: Name
    company: EdgeId | None = None
    phone: Phone | None = None
    identity: IdentityBody | None = None
    address: Address | None = None
    email: Email | None = None
    birth_date: date | None = None
    consents: Annotated[tuple[ConsentBody, ...], Meta(max_length=10)] = ()


class ChangeCustomer(RequestBody, frozen=True):
    """What is to be different; what is left out stays, null takes it away."""

    name: Name | UnsetType = UNSET
    phone: Phone | UnsetType | None = UNSET
    identity: IdentityBody | UnsetType | None = UNSET
    address: Address | UnsetType | None = UNSET
    email: Email | UnsetType | None = UNSET
    birth_date: date | UnsetType | None = UNSET


class FindCustomers(RequestBody, frozen=True):
    """A phone or an identity number, never both."""

    phone: Phone | None = None
    identity: IdentityBody | None = None


class CustomerView(msgspec.Struct, frozen=True):
    """A customer, masked. Everything personal is null once erased."""

    id: str
    company: str
    party: Party
    state: CustomerState
    level: Level
    minor: bool
    name: str | None
    phone: str | None
    identity_type: IdentityType | None
    identity_number: str | None
    address: str | None
    email: str | None
    created_at: str
    updated_at: str


class CustomersFound(msgspec.Struct, frozen=True):
    """Whom a search found, newest first, twenty at most."""

    data: list[CustomerView]


def _view(customer: Customer, customers: Customers) -> CustomerView:
    profile = customer.profile
    identity = profile.identity if profile else None
    of_unit = customer.party is Party.UNIT
    return CustomerView(
        id=to_edge(CUSTOMER, customer.id),
        company=to_edge(COMPANY, customer.company),
        party=customer.party,
        state=customer.state,
        level=customer.level,
        minor=customers.is_minor(customer),
        name=masked_name(profile.name, of_unit=of_unit) if profile else None,
        phone=masked_phone(profile.phone) if profile and profile.phone else None,
        identity_type=identity.type if identity else None,
        identity_number=masked_identity(identity) if identity else None,
        address=masked_address(profile.address) if profile and profile.address else None,
        email=masked_email(profile.email) if profile and profile.email else None,
        created_at=rfc3339(to_us(customer.created_at)),
        updated_at=rfc3339(to_us(customer.updated_at)),
    )


@post("/v1/customers", guards=[requires("customers:write")])
async def create_customer(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: CreateCustomer,
    once: Once,
    customers: Customers,
) -> Response[CustomerView]:
    """Add a holder or buyer."""

    async def work(conn: Conn) -> CustomerView:
        new = NewCustomer(
            company=_company(principal, data.company),
            party=data.party,
            name=data.name,
            phone=data.phone,
            identity=_identity(data.identity),
            address=data.address,
            email=data.email,
            birth_date=data.birth_date,
            consents=tuple(
                NewConsent(kind=c.kind, version=c.version, document_hash=c.document_hash)
                for c in data.consents
            ),
        )
        return _view(await customers.add(conn, new, principal.id), customers)

    return await once(request, principal, data, work)


@get("/v1/customers/{customer:str}", guards=[requires("customers:read")])
async def get_customer(
    principal: Principal, db: Database, customers: Customers, customer: str
) -> CustomerView:
    """Look at a customer, masked. Every look is logged."""
    ident = from_edge(CUSTOMER, customer)
    async with db.transaction() as conn:
        found = await customers.open(conn, principal.id, ident, principal.companies)
    return _view(found, customers)


@patch("/v1/customers/{customer:str}", guards=[requires("customers:write")])
async def change_customer(
    principal: Principal, data: ChangeCustomer, db: Database, customers: Customers, customer: str
) -> CustomerView:
    """Correct or complete what is said of a customer.

    Verifications that rested on what changes are void, and the level follows.
    """
    given = data.identity
    change = CustomerChange(
        name=data.name,
        phone=data.phone,
        identity=_identity(given) if isinstance(given, IdentityBody) else given,
        address=data.address,
        email=data.email,
        birth_date=data.birth_date,
    )
    async with db.transaction() as conn:
        ident = await visible(conn, principal, customers, customer)
        changed = await customers.change(conn, ident, change)
    return _view(changed, customers)


@post("/v1/customers/find", guards=[requires("customers:find")], status_code=200)
async def find_customers(
    principal: Principal, data: FindCustomers, db: Database, customers: Customers
) -> CustomersFound:
    """Find customers by phone or identity number, masked. Every search is logged.

    An inquiry: it needs no Idempotency-Key. What is sought stands in the body,
    so that it is in no URL and in no log of one.
    """
    identity = _identity(data.identity)
    async with db.transaction() as conn:
        if data.phone is not None and identity is None:
            found = await customers.seek_by_phone(
                conn, principal.id, data.phone, principal.companies
            )
        elif identity is not None and data.phone is None:
            found = await customers.seek_by_identity(
                conn, principal.id, identity, principal.companies
            )
        else:
            raise INVALID.error("Either a phone or an identity.", field="phone")
    return CustomersFound([_view(customer, customers) for customer in found])


def _company(principal: Principal, text: str | None) -> str:
    if text is None:
        return principal.company
    ident = from_edge(COMPANY, text, field="company")
    if not principal.may_see_company(ident):
        raise NOT_FOUND.error("There is no such company.", field="company")
    return ident


def _identity(given: IdentityBody | None) -> Identity | None:
    return None if given is None else Identity(given.type, given.number)


ROUTES = [create_customer, get_customer, change_customer, find_customers]
