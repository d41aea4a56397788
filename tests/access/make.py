"""Builders for the tests of access."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import pyotp
from argon2 import PasswordHasher

from kabao.access import http
from kabao.access.model import (
    Approval,
    Enrolment,
    Founder,
    Founding,
    Grant,
    Login,
    NewKey,
    Opened,
    Role,
    Scope,
    founding,
    grant,
)
from kabao.access.ops import Access, Passwords, Ring
from kabao.base.clock import BusinessDays, FixedClock
from kabao.base.db import Conn, Database
from kabao.base.ids import RandomIds
from kabao.base.web.application import Web
from kabao.base.web.metrics import Figures, Traffic
from kabao.base.web.once import Once
from kabao.base.web.principal import Principal
from kabao.org.model import NewCompany, NewStore
from kabao.org.ops import Org
from kabao.policy.ops import Policy
from kabao.vault.ops import FileKeys, Vault

T = TypeVar("T")

PASSWORD = "correct horse battery"
ALL_ROLES = tuple(Role)
ADJUSTMENT = "adjustment"


def weak_hasher() -> PasswordHasher:
    """Argon2 as weak as it gets: its strength is not what is tested."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def passwords() -> Passwords:
    return Passwords(weak_hasher())


class Adjust(msgspec.Struct, frozen=True):
    """A request of another slice."""

    card: str
    amount: int


class Adjusted(msgspec.Struct, frozen=True):
    """What came of it."""

    transfer: str


class Process:
    """What one process has of access."""

    def __init__(self, db: Database, vault: Vault, clock: FixedClock) -> None:
        self.db, self.clock, self.vault = db, clock, vault
        self.ids, days = RandomIds(clock), BusinessDays()
        self.org = Org(db, self.ids, clock, days)
        policy = Policy.load(clock)
        self.access = Access(
            db, vault, policy, self.org, self.ids, clock, days, passwords=passwords()
        )
        self.executed: list[tuple[Adjust, Approval]] = []
        self.access.register_executor(ADJUSTMENT, self._adjust, payload=Adjust)

    async def _adjust(self, conn: Conn, payload: Adjust, approval: Approval) -> Adjusted:
        self.executed.append((payload, approval))
        return Adjusted("tra_1")

    async def tx(self, work: Callable[[Conn], Awaitable[T]]) -> T:
        async with self.db.transaction() as conn:
            return await work(conn)

    async def principal(self, token: str) -> Principal:
        found = await self.access.ring.principal(token)
        assert found is not None
        return found


class World(Process):
    """A group of two companies with a store each, and one person for each role."""

    company: str
    other: str
    store: str
    other_store: str
    founders: dict[Role, Founder]
    by: dict[Role, Principal]

    @classmethod
    async def make(cls, db: Database, folder: Path, clock: FixedClock) -> "World":
        vault = Vault(FileKeys(folder / "keys.json", clock, create_if_missing=True), clock)
        world = cls(db, vault, clock)
        async with db.transaction() as conn:
            world.company = (await world.org.add_company(conn, NewCompany(name="Head"))).id
            world.other = (await world.org.add_company(conn, NewCompany(name="Other"))).id
            stores = [
                await world.org.add_store(conn, NewStore(company=company, name="S", code="1"))
                for company in (world.company, world.other)
            ]
            world.store, world.other_store = (store.id for store in stores)
            founders = await world.access.bootstrap(conn, founding(world.company, *ALL_ROLES))
        world.founders = dict(zip(ALL_ROLES, founders, strict=True))
        world.by = {role: await world.principal(f.key) for role, f in world.founders.items()}
        return world

    def twin(self, *, monotonic: Callable[[], float] | None = None) -> Process:
        """Another process on the same database."""
        twin = Process(self.db, self.vault, self.clock)
        if monotonic is not None:
            twin.access.ring = Ring(
                self.db, self.clock, twin.access.ring._limits, monotonic=monotonic
            )
        return twin

    def person(self, role: Role) -> str:
        return self.founders[role].operator

    async def ask(self, by: Principal, amount: int = 100, **more: Any) -> Approval:
        asked = Adjust("card_1", amount)
        return await self.tx(
            lambda conn: self.access.approvals.ask(conn, by, ADJUSTMENT, asked, "why", **more)
        )

    async def approve(self, by: Principal, ident: str, **more: Any) -> Approval:
        return await self.tx(lambda conn: self.access.approvals.approve(conn, by, ident, **more))

    async def key(self, role: Role, given: Grant | None = None, **more: Any) -> str:
        """Another API key of the person in a role; its token."""
        given = given or Grant(Scope(self.company), (role,))
        owner = self.person(role)
        issued = await self.tx(
            lambda conn: self.access.keys.mint(conn, owner, NewKey("another", given, **more))
        )
        return issued.token

    async def enrol(self, role: Role, password: str = PASSWORD) -> pyotp.TOTP:
        """The person in a role chooses a password; their authenticator."""
        form = Enrolment(self.founders[role].invitation, "张三", password)
        enrolled = await self.access.operators.enrol(form)
        return authenticator(enrolled.totp_uri)

    async def login(
        self, role: Role, totp: pyotp.TOTP, password: str = PASSWORD, *, steps: int = 0
    ) -> Opened:
        login = self.founders[role].login
        return await self.access.sessions.open(Login(login, password, self.code(totp, steps)))

    def code(self, totp: pyotp.TOTP, steps: int = 0) -> str:
        return totp.at(self.clock.now_us() // 1_000_000, counter_offset=steps)

    def scoped(self, *, stores: Iterable[str] | None = None, roles: Iterable[Role] = ()) -> Grant:
        named = None if stores is None else frozenset(stores)
        return grant(Scope(self.company, frozenset({self.company}), named), roles)

    def founding(self, login: str, role: Role) -> Founding:
        return Founding(login, Grant(Scope(self.company), (role,)))


def authenticator(uri: str) -> pyotp.TOTP:
    """What a phone makes of the otpauth address."""
    return pyotp.TOTP(parse_qs(urlsplit(uri).query)["secret"][0])


def with_verbs(principal: Principal, *verbs: str) -> Principal:
    return msgspec.structs.replace(principal, verbs=frozenset(verbs))


async def together(work: Iterable[Awaitable[Any]]) -> list[Any]:
    """Start all at once; results and errors."""
    return await asyncio.gather(*work, return_exceptions=True)


@asynccontextmanager
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """The routes of access behind the framework's door, with its own ring of keys."""
    traffic = Traffic()
    once = Once(
        world.db,
        world.clock,
        lambda body: hashlib.sha256(body).digest(),
        world.vault,
        lambda: 24,
    )
    provided = {"db": world.db, "once": once, "access": world.access, "clock": world.clock}
    web = Web(
        routes=http.ROUTES,
        keys=world.access.ring,
        provided=provided,
        checks={},
        traffic=traffic,
        figures=Figures(traffic),
        version="0",
    )
    transport = httpx.ASGITransport(app=web)
    async with httpx.AsyncClient(transport=transport, base_url="http://kabao") as made:
        yield made


class Caller:
    """One token's calls; every POST gets a fresh Idempotency-Key unless one is given."""

    _count = 0

    def __init__(self, client: httpx.AsyncClient, token: str | None) -> None:
        self._client, self.token = client, token

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self._client.get(path, params=query, headers=self._headers())

    async def post(self, path: str, body: Any = None, key: str | None = None) -> httpx.Response:
        Caller._count += 1
        headers = self._headers() | {"Idempotency-Key": key or f"k{Caller._count}"}
        return await self._client.post(path, json={} if body is None else body, headers=headers)

    async def delete(self, path: str) -> httpx.Response:
        return await self._client.delete(path, headers=self._headers())

    def _headers(self) -> dict[str, str]:
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
