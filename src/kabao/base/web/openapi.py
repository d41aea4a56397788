"""The OpenAPI document, generated from the very types the doors decode with.

Every operation lists every answer it can give: its own, and the problems that
the doors give before, around and after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import UNSET

from kabao.base.web.answers import JSON, PROBLEM_JSON
from kabao.base.web.binding import Parameter, Route
from kabao.base.web.fields import KEY_HEADER, IdempotencyKey
from kabao.base.web.problems import Problem

_REF = "#/components/schemas/{name}"


def document(routes: Sequence[Route], *, title: str, version: str) -> dict[str, Any]:
    """The document of all routes (OpenAPI 3.1)."""
    schemas = _Schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in sorted(routes, key=lambda r: (r.path, r.method)):
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in sorted({route.tag for route in routes})],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key, `kb_…`."}
            },
        },
    }


def problems_of(route: Route) -> list[int]:
    """The statuses of every problem this route can answer with."""
    statuses = {400, 500, 503}
    if route.verb is not None or route.method != "GET":  # a log-in has no verb and many noes
        statuses |= {401, 403, 404, 429}
    if any(parameter.place == "path" for parameter in route.parameters):
        statuses.add(404)
    if route.takes is not None or route.parameters:
        statuses.add(422)
    if route.takes is not None:
        statuses.add(413)
    if route.method != "GET":
        statuses |= {409, 422, 504}
    return sorted(statuses)


class _Schemas:
    """The JSON Schemas of every type the routes name, generated in one go."""

    def __init__(self, routes: Iterable[Route]) -> None:
        kinds: list[Any] = [Problem, IdempotencyKey]
        for route in routes:
            kinds += [kind for kind in (route.takes, route.gives) if kind is not None]
            kinds += [parameter.kind for parameter in route.parameters]
        schemas, self.components = msgspec.json.schema_components(kinds, ref_template=_REF)
        self._found = list(zip(kinds, schemas, strict=True))

    def of(self, kind: Any) -> dict[str, Any]:
        """The schema of a type, or a reference to it."""
        return next(schema for known, schema in self._found if known is kind or known == kind)


def _operation(route: Route, schemas: _Schemas) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": route.name,
        "tags": [route.tag],
        "summary": route.summary,
        "parameters": [_parameter(parameter, schemas) for parameter in route.parameters],
        "responses": _responses(route, schemas),
    }
    if route.description:
        made["description"] = route.description
    if route.keyed:
        made["parameters"].append(
            {
                "name": KEY_HEADER,
                "in": "header",
                "required": True,
                "schema": schemas.of(IdempotencyKey),
            }
        )
    if route.takes is not None:
        made["requestBody"] = {
            "required": not route.optional_body,
            "content": {JSON: {"schema": schemas.of(route.takes)}},
        }
    if route.verb is None:
        made["security"] = []
    else:
        made["security"] = [{"key": []}]
        made["x-verb"] = route.verb
    return made


def _parameter(parameter: Parameter, schemas: _Schemas) -> dict[str, Any]:
    schema = dict(schemas.of(parameter.kind))
    if parameter.default is not UNSET and parameter.default is not None:
        schema["default"] = msgspec.to_builtins(parameter.default)
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.default is UNSET,
        "schema": schema,
    }


def _responses(route: Route, schemas: _Schemas) -> dict[str, Any]:
    own: dict[str, Any] = {"description": HTTPStatus(route.status).phrase}
    if route.gives is not None:
        own["content"] = {route.media_type: {"schema": schemas.of(route.gives)}} | {
            other: {"schema": {"type": "string", "format": "binary"}} for other in route.also
        }
    responses = {str(route.status): own}
    for status in problems_of(route):
        responses[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {PROBLEM_JSON: {"schema": schemas.of(Problem)}},
        }
    return responses
