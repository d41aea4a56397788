"""schemathesis on the whole API, against real processes: no 5xx, no undocumented answer.

Once with a key that may do everything, once with one that may do next to
nothing. Requests that are well-formed are given ids of things that are there,
so that most of them get past the look-up.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import load_all_checks
from schemathesis.pytest.lazy import get_all_tests
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import positive_data_acceptance

from kabao.access.model.verbs import VERBS
from kabao.app.reference.api import document

from .http import Http, fresh_key, request
from .site import Site
from .world import Actors, scoped_key

NOT_CHECKED = [positive_data_acceptance]
"""JSON Schema takes 8.0 for a whole number, and knows no rule of ours; we refuse."""

DOCUMENT = document()


class Fuzzed:
    """A platform of its own (days get closed, businesses stopped) and its keys."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.url = f"http://127.0.0.1:{site.port}"
        self.known = asyncio.run(self._prepare())

    async def _prepare(self) -> dict[str, list[str]]:
        http = Http(self.site.port)
        actors = Actors(http, self.site.world)
        self.powerful = await scoped_key(
            http, actors.world, verbs=sorted(VERBS), companies=None, company=self._group
        )
        self.powerless = await scoped_key(http, actors.world, verbs=["receipts:read"])
        known = await _things(actors)
        await http.close()
        return known

    @property
    def _group(self) -> str:
        return self.site.world.founded.group

    def fill_in(self, case: schemathesis.Case) -> None:
        """Give a well-formed request ids of things that are there."""
        if case.meta is None or not case.meta.generation.mode.is_positive:
            return
        for part in ("path_parameters", "query", "body"):
            given = getattr(case, part)
            if isinstance(given, Mapping) and given:
                setattr(case, part, self._known(given))
        if case.headers and "Idempotency-Key" in case.headers:
            case.headers["Idempotency-Key"] = fresh_key()

    def some_id(self, path: str) -> str:
        """An id of what a path is about."""
        name = re.search(r"{(\w+)}", path)
        return self.known.get(name[1], ["x"])[-1] if name else ""

    def _known(self, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        return {
            name: self._one(name, value) if isinstance(value, str) else self._known(value)
            for name, value in given.items()
        }

    def _one(self, name: str, value: str) -> str:
        """By the name of the field; some values stay as they came."""
        those = self.known.get(_ALIKE.get(name, name))
        if those is None or len(value) % 4 == 3:
            return value
        return those[len(value) % len(those)]


_ALIKE = {
    "into": "card",
    "holder": "customer",
    "payer": "customer",
    "payee": "customer",
    "to": "customer",
    "supervisor": "cashier",
    "parent": "company",
    "issuer": "company",
    "member": "company",
    "id": "card",
}


async def _things(actors: Actors) -> dict[str, list[str]]:
    """Ids of everything there is, by the name under which requests ask for them."""
    world, customer = actors.world, await actors.person()
    cards = [await actors.card(50_000) for _ in range(4)]
    frozen = await actors.card(1_000)
    await actors.operator.made(f"/v1/cards/{frozen.id}/freeze", {"reason": "risk"})
    registered = await actors.card(1_000, programme=world.registered, holder=customer)
    payments = [await actors.paid(cards[n % 4], 1_000 + n) for n in range(6)]
    payments += [await actors.held(cards[n % 4], 1_000 + n) for n in range(4)]
    topups = [await actors.load(cards[0], 100) for _ in range(3)]
    asked = await actors.operator.made(
        "/v1/card-batches",
        {"programme": world.bearer, "carrier": "electronic", "count": 5, "reason": "more"},
    )
    keys = await actors.admin.got("/v1/api-keys", limit=3)
    people = await actors.admin.got("/v1/operators")
    shifts = await actors.operator.got("/v1/shifts")
    stores = (world.north, world.south, world.east, world.outside)
    return {
        "card": [c.id for c in (*cards, frozen, registered)],
        "payment": [p["id"] for p in payments],
        "topup": [t["id"] for t in topups],
        "customer": [customer],
        "store": [s.id for s in stores],
        "terminal": [s.terminal for s in stores],
        "cashier": [s.cashier for s in stores] + [s.supervisor for s in stores],
        "company": [world.founded.group, world.founded.daughter],
        "programme": [world.bearer, world.registered, world.inactive],
        "shift": [s["id"] for s in shifts["data"]],
        "approval": [asked["id"]],
        "key": [k["id"] for k in keys["data"]],
        "operator": [o["id"] for o in people["data"][:2]],
    }


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[Fuzzed]:
    site = Site()
    yield Fuzzed(site)
    try:
        site.audit(with_journal=False)
        assert site.errors() == []
    finally:
        site.stop()


def api(path: str, token: str) -> BaseSchema:
    """The document of one path, whose requests come with a key unless it is to be missing."""
    paths = {path: DOCUMENT["paths"][path]}
    schema = schemathesis.openapi.from_dict(DOCUMENT | {"paths": paths})

    @schema.auth(refresh_interval=None)
    class _Key:
        def get(self, case: schemathesis.Case, context: Any) -> str:
            return token

        def set(self, case: schemathesis.Case, data: str, context: Any) -> None:
            case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}

    return schema


each_path = pytest.mark.parametrize("path", DOCUMENT["paths"])
"""One test for each path, whose requests are put together when its turn comes: where
pytest collects, as schemathesis has it by itself, that takes 20 s in every process.
"""


def ask_all(fuzzed: Fuzzed, path: str, token: str, count: settings) -> None:
    """What schemathesis can think of for one path, and its checks of each answer."""

    def check(case: schemathesis.Case) -> None:
        fuzzed.fill_in(case)
        case.call_and_validate(base_url=fuzzed.url, excluded_checks=NOT_CHECKED)

    load_all_checks()
    for built in get_all_tests(
        schema=api(path, token), test_func=check, settings=count, given_kwargs={}
    ):
        _, asked = built.ok()
        asked()


USUAL = settings(derandomize=True, suppress_health_check=list(HealthCheck), deadline=None)


@each_path
def test_a_key_that_may_do_everything(path: str, fuzzed: Fuzzed) -> None:
    ask_all(fuzzed, path, fuzzed.powerful, settings(USUAL, max_examples=4))


@each_path
def test_a_key_that_may_do_nothing(path: str, fuzzed: Fuzzed) -> None:
    once = settings(USUAL, max_examples=1, phases=[Phase.generate])
    ask_all(fuzzed, path, fuzzed.powerless, once)


@pytest.mark.parametrize("body", [None, b"", b"{}", b"null", b"[]"])
def test_next_to_no_body_is_no_defect(fuzzed: Fuzzed, body: bytes | None) -> None:
    """Every route that changes something, with an id that is there and one that is not."""

    async def ask() -> dict[str, int]:
        http, found = Http(fuzzed.site.port), {}
        for path, operations in DOCUMENT["paths"].items():
            for method in operations.keys() - {"get"}:
                for ident in (fuzzed.some_id(path), "x"):
                    raw = request(
                        method.upper(),
                        re.sub(r"{\w+}", ident, path),
                        body,
                        token=fuzzed.powerful,
                        key=fresh_key(),
                    )
                    reply = await http.ask(raw)
                    found[f"{method} {path} {ident}"] = reply.status
        await http.close()
        return found

    statuses = asyncio.run(ask())
    assert {name: status for name, status in statuses.items() if status >= 500} == {}


@pytest.mark.proof
@each_path
def test_many_more_requests(path: str, fuzzed: Fuzzed) -> None:
    ask_all(fuzzed, path, fuzzed.powerful, settings(USUAL, max_examples=200))
