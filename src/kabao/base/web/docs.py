"""`/docs`: the OpenAPI document as one page for people.

Written here and not one of Litestar's viewers, because each of those loads its
program from somebody else's server.
"""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from html import escape
from typing import Any

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from kabao.base.errors import REGISTRY
from kabao.base.web.binding import PUBLIC
from kabao.base.web.problems import status_of

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #1c2733; background: #fff }
code, pre { font: 13px/1.5 ui-monospace, monospace }
pre { background: #f4f6f8; padding: .75rem; overflow: auto; border-radius: 4px }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: .25rem .75rem .25rem 0; vertical-align: top;
         border-bottom: 1px solid #e3e8ee }
details { border: 1px solid #e3e8ee; border-radius: 4px; margin: .5rem 0; padding: .5rem .75rem }
summary { cursor: pointer } summary b { display: inline-block; min-width: 4rem }
"""


def docs_routes(document: Callable[[], dict[str, Any]]) -> list[HTTPRouteHandler]:
    """`/docs` and `/docs/openapi.json`, rendered once, when they are first asked for: in a
    thread, so that no payment waits for it.
    """

    @cache
    def as_json() -> bytes:
        return msgspec.json.encode(document())

    @cache
    def page() -> bytes:
        return render(document()).encode()

    @get(
        "/docs/openapi.json",
        opt=PUBLIC,
        tags=["service"],
        operation_id="openapi",
    )
    async def openapi() -> Response[Any]:
        """The OpenAPI document."""
        return Response(await to_thread(as_json), media_type="application/json")

    @get(
        "/docs",
        opt=PUBLIC,
        tags=["service"],
        operation_id="docs",
        media_type="text/html",
    )
    async def docs() -> Response[Any]:
        """The same for people."""
        shown = await to_thread(page)
        return Response(shown, media_type="text/html", headers={"content-security-policy": _POLICY})

    return [openapi, docs]


def render(document: dict[str, Any]) -> str:
    """The page: operations by tag, then schemas, then error codes."""
    title = escape(document["info"]["title"])
    return "".join(
        [
            f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>",
            "<meta name=viewport content='width=device-width, initial-scale=1'>",
            f"<style>{_STYLE}</style><h1>{title} {escape(document['info']['version'])}</h1>",
            "<p><a href=/docs/openapi.json>openapi.json</a> · <a href=#schemas>schemas</a>",
            " · <a href=#errors>error codes</a></p>",
            *_operations(document),
            *_schemas(document["components"]["schemas"]),
            *_errors(),
            "</html>",
        ]
    )


def _operations(document: dict[str, Any]) -> Iterator[str]:
    for tag in document["tags"]:
        yield f"<h2>{escape(tag['name'])}</h2>"
        for path, item in document["paths"].items():
            for method, operation in item.items():
                if tag["name"] in operation["tags"]:
                    yield from _operation(method, path, operation)


def _operation(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"<details id='{escape(operation['operationId'])}'><summary><b>{method.upper()}</b> "
    yield f"<code>{escape(path)}</code> {escape(operation['summary'])}</summary>"
    if "description" in operation:
        yield f"<p>{escape(operation['description'])}</p>"
    verb = operation.get("x-verb")
    yield f"<p>Needs a key with <code>{escape(verb)}</code>.</p>" if verb else "<p>Open.</p>"
    if operation["parameters"]:
        yield _table(
            ("Parameter", "In", "Type"),
            (
                (f"{p['name']}{'' if p['required'] else '?'}", p["in"], _kind(p["schema"]))
                for p in operation["parameters"]
            ),
        )
    if body := operation.get("requestBody"):
        schema = next(iter(body["content"].values()))["schema"]
        yield f"<p>Body: {_kind(schema)}</p>"
    yield _table(
        ("Status", "Answer", ""),
        (
            (status, response["description"], _content(response))
            for status, response in sorted(operation["responses"].items())
        ),
    )
    yield "</details>"


def _content(response: dict[str, Any]) -> str:
    return ", ".join(_kind(content["schema"]) for content in response.get("content", {}).values())


def _schemas(schemas: dict[str, Any]) -> Iterator[str]:
    yield "<h2 id=schemas>Schemas</h2>"
    for name, schema in sorted(schemas.items()):
        yield f"<details id='schema-{escape(name)}'><summary><code>{escape(name)}</code></summary>"
        pretty = msgspec.json.format(msgspec.json.encode(schema)).decode()
        yield f"<pre>{escape(pretty)}</pre></details>"


def _errors() -> Iterator[str]:
    yield "<h2 id=errors>Error codes</h2><table><tr><th>Code<th>Status<th>Meaning"
    for code in sorted(REGISTRY.values(), key=lambda c: c.name):
        yield f"<tr id='{escape(code.name)}'><td><code>{escape(code.name)}</code>"
        yield f"<td>{status_of(code)}<td>{escape(code.title)}"
    yield "</table>"


def _kind(schema: dict[str, Any]) -> str:
    """A type in a few words, already escaped."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f"<a href='#schema-{name}'>{name}</a>"
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if "enum" in schema:
        return escape(" | ".join(str(value) for value in schema["enum"]))
    return escape(str(schema.get("type", "any")))


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Cells are text, except the last of a row, which is markup already."""
    made = ["<table><tr>", *(f"<th>{head}" for head in heads)]
    for *cells, last in rows:
        made += ["<tr>", *(f"<td>{escape(str(cell))}" for cell in cells), f"<td>{last}"]
    return "".join([*made, "</table>"])
