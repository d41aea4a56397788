"""Cold routes: what a handler asks for, guards, problems, health, the document."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from litestar import get, post

from kabao.base.errors import REGISTRY, UNAVAILABLE
from kabao.base.web.binding import PUBLIC, bind
from kabao.base.web.edge import Edge, RequestIds
from kabao.base.web.metrics import Traffic
from kabao.base.web.principal import Principal, requires
from kabao.base.web.problems import STATUS

from . import make
from .make import Running, request, running

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Checks:
    """A check that can be made to fail."""

    def __init__(self) -> None:
        self.trouble: Exception | None = None

    async def __call__(self) -> None:
        if self.trouble is not None:
            raise self.trouble


CHECKS = Checks()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def web() -> AsyncIterator[Running]:
    async with running(checks={"database": CHECKS}) as served:
        yield served


async def ask(web: Running, method: str, path: str, body: bytes | None = None, **more: Any) -> Any:
    async with web.client() as client:
        return await client.ask(request(method, path, body, **more))


# What a handler asks for


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", ("", 50, "")),
        ("?limit=1", ("", 1, "")),
        ("?limit=200&name=a%20b", ("a b", 200, "")),
        ("?state=a&state=b", ("", 50, "a,b")),
        ("?name=", None),
        ("?name=%E5%8D%A1", ("卡", 50, "")),
    ],
)
async def test_query_parameters(web: Running, query: str, shown: Any) -> None:
    reply = await ask(web, "GET", f"/v1/things{query}")
    if shown is None:
        assert reply.status == 422
    else:
        (thing,) = reply.json["data"]
        assert (thing["name"], thing["size"], thing["till"]) == shown


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ("limit=0", 422, "limit"),
        ("limit=201", 422, "limit"),
        ("limit=-1", 422, "limit"),
        ("limit=1.0", 400, "limit"),
        ("limit=1e1", 400, "limit"),
        ("limit=x", 400, "limit"),
        ("limit=", 400, "limit"),
        ("limit=1&limit=2", 400, "limit"),
        ("limt=1", 400, "limt"),
        ("name=%00", 422, "name"),
        ("name=" + "x" * 65, 422, "name"),
        ("name=%ff", 400, None),
        ("cursor=%2F", 422, "cursor"),
        ("cursor=" + "x" * 513, 422, "cursor"),
        ("&".join(f"state={n}" for n in range(51)), 400, None),
    ],
)
async def test_unusable_queries(web: Running, query: str, status: int, field: str | None) -> None:
    reply = await ask(web, "GET", f"/v1/things?{query}")
    assert (reply.status, reply.json.get("field")) == (status, field)


@pytest.mark.parametrize("thing", ["%00", "a%0Ab", "x" * 65])
async def test_an_impossible_id_is_an_unknown_one(web: Running, thing: str) -> None:
    reply = await ask(web, "GET", f"/v1/things/{thing}")
    assert (reply.status, reply.json["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("body", "status"), [(None, 200), (b"", 200), (b"{}", 200), (b'{"a":1}', 400), (b"x", 400)]
)
async def test_a_post_without_a_body(web: Running, body: bytes | None, status: int) -> None:
    assert (await ask(web, "POST", "/v1/things/a/touch", body)).status == status


async def test_a_missing_body(web: Running) -> None:
    reply = await ask(web, "POST", "/v1/things")
    assert (reply.status, reply.json["code"]) == (400, "malformed")


# Guards


@pytest.mark.parametrize(
    ("token", "status"),
    [
        (None, 401),
        ("kb_unknown", 401),
        ("", 401),
        ("x" * 257, 401),
        ("ключ", 401),
        ("kb_cold", 201),
        (make.TOKEN, 201),
        ("kb_reader", 403),
    ],
)
async def test_keys(web: Running, token: str | None, status: int) -> None:
    """The verb is checked before anything else: a bad body tells a reader nothing."""
    good, bad = b'{"name":"a"}', b"{"
    reply = await ask(web, "POST", "/v1/things", good, token=token)
    assert reply.status == status
    if status == 401:
        assert reply.headers["www-authenticate"] == "Bearer"
    if status != 201:
        assert (await ask(web, "POST", "/v1/things", bad, token=token)).status == status


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Basic", "Bearer" * 2])
async def test_the_scheme(web: Running, scheme: str) -> None:
    reply = await ask(web, "GET", "/v1/things", token=None, Authorization=f"{scheme} kb_test")
    assert reply.status == (200 if scheme.lower() == "bearer" else 401)


async def test_a_route_without_guard_is_refused_at_start() -> None:
    @get("/v1/forgotten")
    async def forgotten() -> make.ThingView:
        """Forgotten."""
        return make.ThingView("", 1)

    @get("/v1/both", guards=[requires("things:read")], opt=PUBLIC)
    async def both() -> make.ThingView:
        """Contradictory."""
        return make.ThingView("", 1)

    @get("/v1/nobody", opt=PUBLIC)
    async def nobody(principal: Principal) -> make.ThingView:
        """Asks for a principal that is not there."""
        return make.ThingView(principal.name, 1)

    for handler in (forgotten, both, nobody):
        with pytest.raises(AssertionError):
            bind(handler, {})


# Problems


async def test_a_defect_tells_nothing(web: Running, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "kabao.web"):
        reply = await ask(web, "GET", "/v1/things/defect")
    assert (reply.status, reply.json["code"]) == (500, "internal")
    assert "made for the test" not in reply.body.decode()
    (record,) = caplog.records
    logged = record.getMessage()
    assert reply.json["request_id"] in logged
    assert "made for the test" in logged
    assert "in get_thing" in logged
    assert "sqlstate 23505" in logged
    assert make.SECRET not in logged


async def test_a_database_that_is_gone(web: Running) -> None:
    reply = await ask(web, "GET", "/v1/things/gone")
    assert (reply.status, reply.json["code"]) == (503, "unavailable")
    assert reply.headers["retry-after"] == "1"


async def test_every_kind_has_a_status() -> None:
    assert {code.kind for code in REGISTRY.values()} <= STATUS.keys()


async def test_every_answer_carries_its_headers(web: Running) -> None:
    seen = set()
    for method, path, body in (
        ("GET", "/v1/things", None),
        ("GET", "/nothing", None),
        ("PUT", "/v1/payments", None),
        ("POST", "/v1/payments", b"{"),
        ("OPTIONS", "/v1/things", None),
    ):
        reply = await ask(web, method, path, body)
        seen.add(reply.headers["x-request-id"])
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["cache-control"] == "no-store"
        assert "date" in reply.headers
        assert "server" not in reply.headers
    assert len(seen) == 5


async def test_a_request_cut_off_at_the_end_is_in_doubt() -> None:
    """Cancelled, not refused: what it was doing may have been done."""
    sent: list[Any] = []

    async def cut_off(scope: Any, receive: Any, send: Any) -> None:
        raise asyncio.CancelledError

    async def keep(message: Any) -> None:
        sent.append(message)

    scope: Any = {"type": "http", "scheme": "http", "method": "POST", "headers": []}
    await Edge(cut_off, Traffic(), RequestIds())(scope, asyncio.Event().wait, keep)  # type: ignore[arg-type]
    assert sent[0]["status"] == 504
    assert b"in_doubt" in sent[1]["body"]


# Health


async def test_health(web: Running) -> None:
    assert (await ask(web, "GET", "/healthz", token=None)).json["status"] == "alive"
    CHECKS.trouble = None
    reply = await ask(web, "GET", "/readyz", token=None)
    assert (reply.status, reply.json["checks"]) == (200, {"database": "ok"})
    for trouble in (UNAVAILABLE.error(), RuntimeError("secret"), TimeoutError()):
        CHECKS.trouble = trouble
        reply = await ask(web, "GET", "/readyz", token=None)
        assert (reply.status, reply.json["detail"]) == (503, "Not ready: database.")
    assert (await ask(web, "GET", "/healthz", token=None)).status == 200


async def test_metrics_hold_templates(web: Running) -> None:
    await ask(web, "GET", "/v1/things/some-id-of-a-card")
    await ask(web, "GET", "/some/unknown/path")
    reply = await ask(web, "GET", "/metrics", token=None)
    text = reply.body.decode()
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'route="/v1/things/{thing}"' in text
    assert "some-id-of-a-card" not in text
    assert "unknown" not in text
    assert 'kabao_http_request_seconds_bucket{door="framework",le="+Inf"' in text


# The document


async def test_docs_load_nothing_from_elsewhere(web: Running) -> None:
    reply = await ask(web, "GET", "/docs", token=None)
    page = reply.body.decode()
    assert reply.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    for word in ("<script", "http://", "https://", "@import", "<link"):
        assert word not in page
    for word in ("/v1/payments", "pay:write", "idempotency_key_reused"):
        assert word in page
    reply = await ask(web, "GET", "/v1/things?limit=0")
    assert f"id='{reply.json['type'].removeprefix('/docs#')}'" in page


async def test_the_document(web: Running) -> None:
    document = (await ask(web, "GET", "/docs/openapi.json", token=None)).json
    paths = document["paths"]
    pay = paths["/v1/payments"]["post"]
    assert pay["x-verb"] == "pay:write"
    assert [p["name"] for p in pay["parameters"]] == ["Idempotency-Key"]
    assert set(pay["responses"]) >= {"201", "400", "401", "403", "409", "413", "422", "503", "504"}
    assert "409" not in paths["/v1/things"]["get"]["responses"]
    assert paths["/v1/open"]["get"]["security"] == []
    limit = paths["/v1/things"]["get"]["parameters"][0]
    assert limit["schema"]["maximum"] == 200
    assert limit["schema"]["default"] == 50
    body = document["components"]["schemas"]["Pay"]
    assert body["additionalProperties"] is False
    assert body["properties"]["amount"]["minimum"] == 1
    refs = set(_refs(document))
    assert refs <= {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}


def _refs(node: Any) -> Any:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            yield from _refs(inner)


async def test_the_verbs_are_known(web: Running) -> None:
    assert web.web.verbs == {"pay:write", "things:read", "things:write"}


async def test_names_must_not_collide() -> None:
    @post("/v1/other", guards=[requires("things:write")], operation_id="pay")
    async def other() -> None:
        """Named like a hot route."""

    with pytest.raises(AssertionError):
        make.web(make.Till(), routes=[other])


async def test_a_slow_check_is_a_failed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kabao.base.web.health.CHECK_S", 0.01)

    async def stuck() -> None:
        await asyncio.Event().wait()

    async with running(checks={"queue": stuck}) as web:
        reply = await ask(web, "GET", "/readyz", token=None)
        assert reply.json["detail"] == "Not ready: queue."
