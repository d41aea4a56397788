"""From a slice's handler to a route: what it asks for, checked strictly.

Litestar routes, guards and sends. It does not read arguments: its own reading
takes `"1"` and `1.0` for an int and drops the limits of `msgspec.Meta`. Here a
handler's parameters are looked up by name, in this order:

* `request` is the request, `data` the body, `principal` the caller;
* a name that was provided by `app` is that collaborator, unchecked;
* a name in the path is that part of the path;
* every other name is a query parameter, and no others are accepted.

The same plan is what the OpenAPI document is generated from.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
from litestar import Request, Response
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from msgspec import UNSET
from msgspec.inspect import CustomType, type_info

from kabao.base.errors import IN_DOUBT, MALFORMED, NOT_FOUND, UNAVAILABLE, KabaoError
from kabao.base.web.answers import Answer, answer, as_response
from kabao.base.web.fields import Nothing, ShortText
from kabao.base.web.hot import HotDoor, HotRoute
from kabao.base.web.principal import Requires, bearer
from kabao.base.web.problems import request_id_of
from kabao.base.web.reading import Reader, read_query, read_text
from kabao.base.web.timely import ANSWER_S, timely

PATIENT = {"patient": True}
"""`opt=PATIENT` on a route whose work may rightly take longer."""

KEYED = {"keyed": True}
"""`opt=KEYED` on a POST that keeps idempotency itself, through the ledger."""

PUBLIC = {"public": True}
"""`opt=PUBLIC` on a route that needs no key. Any other route must have a guard."""

RAW = {"raw": True}
"""`opt=RAW` on a POST whose body is not JSON: the handler reads it from the request."""

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


def also(*media_types: str) -> dict[str, Any]:
    """`opt=also("text/csv")` on a route that answers in these media types besides JSON."""
    return {"also": media_types}


class Parameter(msgspec.Struct, frozen=True):
    """A value from the path or the query."""

    name: str
    place: str
    """`path` or `query`."""
    kind: Any
    default: Any = UNSET

    @property
    def many(self) -> bool:
        """Whether the name may come more than once."""
        kinds = (self.kind, *get_args(self.kind))
        return any(get_origin(_bare(kind)) is list for kind in kinds)


class Route(msgspec.Struct, frozen=True):
    """What is known about a route without calling it."""

    method: str
    path: str
    """A template, `/v1/cards/{card}`."""
    name: str
    tag: str
    summary: str
    description: str
    status: int
    takes: Any
    """The type of the body, or None."""
    gives: Any
    """The type of the answer's body, or None."""
    media_type: str
    verb: str | None
    keyed: bool
    parameters: tuple[Parameter, ...] = ()
    optional_body: bool = False
    also: tuple[str, ...] = ()
    """Media types in which it answers besides its own."""


def bind(handler: HTTPRouteHandler, provided: Mapping[str, Any]) -> tuple[Route, HTTPRouteHandler]:
    """The route of a handler, and the handler that Litestar is to call."""
    fn: Callable[..., Any] = handler.fn
    where = f"{fn.__module__}.{fn.__qualname__}"
    assert len(handler.paths) == 1 and len(handler.http_methods) == 1, f"{where}: one route each"
    guards = [guard for guard in handler.guards or () if isinstance(guard, Requires)]
    public = bool(handler.opt.get("public"))
    assert public != (len(guards) == 1), f"{where} needs one requires(verb), or opt=PUBLIC"
    hints = get_type_hints(fn, include_extras=True)
    asked = inspect.signature(fn).parameters
    assert not (public and "principal" in asked), f"{where} is public: there is no principal"
    path = next(iter(handler.paths))
    method = HttpMethod(next(iter(handler.http_methods))).value
    takes = hints.get("data") if "data" in asked else None
    if takes is None and method in _WITH_BODY and not handler.opt.get("raw"):
        takes = Nothing
    parameters = tuple(
        _parameter(name, path, hints[name], parameter)
        for name, parameter in asked.items()
        if name not in {"request", "data", "principal", *provided}
    )
    title, _, text = inspect.cleandoc(fn.__doc__ or fn.__name__).partition("\n\n")
    tag = next(iter(handler.tags or ()), fn.__module__.removeprefix("kabao.").split(".")[0])
    route = Route(
        method=method,
        path="/".join(_segment(part) for part in path.split("/")),
        name=handler.operation_id
        if isinstance(handler.operation_id, str)
        else f"{tag}_{fn.__name__}",
        tag=tag,
        summary=title.replace("\n", " "),
        description=text,
        status=handler.status_code,
        takes=takes,
        gives=_given(hints["return"]),
        media_type=str(
            getattr(handler.media_type, "value", handler.media_type) or "application/json"
        ),
        verb=guards[0].verb if guards else None,
        keyed="once" in asked or bool(handler.opt.get("keyed")),
        parameters=parameters,
        optional_body=takes is Nothing
        or ("data" in asked and asked["data"].default is not inspect.Parameter.empty),
        also=handler.opt.get("also", ()),
    )
    collaborators = {name: provided[name] for name in asked if name in provided}
    call = _Call(fn, route, collaborators, asked, patient=bool(handler.opt.get("patient")))
    return route, _served(route, path, call, guards)


def bind_hot(route: HotRoute, door: HotDoor) -> tuple[Route, HTTPRouteHandler]:
    """The framework's way to the core of a hot route."""

    async def call(request: Request[Any, Any, Any]) -> Response[Any]:
        headers = request.headers
        given = door.enter(
            route,
            bearer(headers.get("authorization")),
            headers.get("idempotency-key"),
            await request.body(),
            request_id_of(request.scope),
        )
        if not isinstance(given, Answer):
            # Shielded: others may wait for the same future, and the work goes on anyway.
            given = route.finish(await asyncio.shield(given))
        return as_response(given)

    documented = Route(
        method=route.method,
        path=route.path,
        name=route.name,
        tag=route.tag,
        summary=route.summary,
        description=route.description,
        status=route.status,
        takes=route.takes,
        gives=route.gives,
        media_type="application/json",
        verb=route.verb,
        keyed=route.keyed,
    )
    return documented, _served(documented, route.path, call, [])


def options(bound: Iterable[tuple[Route, HTTPRouteHandler]]) -> list[HTTPRouteHandler]:
    """An `OPTIONS` handler for each path; Litestar's own forgets methods that were
    declared by a second handler. They must be registered before the others.
    """
    methods: dict[str, set[str]] = {}
    for route, handler in bound:
        (path,) = handler.paths
        methods.setdefault(path, {"OPTIONS"}).add(route.method)
    return [_allow(path, ", ".join(sorted(found))) for path, found in methods.items()]


def _allow(path: str, methods: str) -> HTTPRouteHandler:
    async def allow() -> None:
        return None

    return HTTPRouteHandler(
        path,
        http_method="OPTIONS",
        status_code=204,
        response_headers={"allow": methods},
        media_type="text/plain",
    )(allow)


def _served(
    route: Route,
    path: str,
    call: Callable[[Request[Any, Any, Any]], Awaitable[Response[Any]]],
    guards: list[Any],
) -> HTTPRouteHandler:
    async def serve(request: Request[Any, Any, Any]) -> Any:
        return await call(request)

    if route.status == 204:  # Litestar insists
        serve.__annotations__["return"] = None
    return HTTPRouteHandler(
        path,
        http_method=route.method,  # type: ignore[arg-type]  # one of Litestar's own literals
        guards=guards,
        status_code=route.status,
        name=route.name,
        opt={"route": route},
    )(serve)


class _Call:
    """A handler with everything it asks for, except what the request brings."""

    def __init__(
        self,
        fn: Callable[..., Any],
        route: Route,
        collaborators: dict[str, Any],
        asked: Mapping[str, inspect.Parameter],
        *,
        patient: bool,
    ) -> None:
        self._fn, self._route, self._collaborators = fn, route, collaborators
        self._wants = frozenset(asked) & {"request", "principal", "data"}
        self._patient = patient
        self._no_body = _default(asked)
        self._reader = None if route.takes is None else Reader(route.takes)
        self._path = tuple(p for p in route.parameters if p.place == "path")
        self._query = {p.name: p for p in route.parameters if p.place == "query"}

    async def __call__(self, request: Request[Any, Any, Any]) -> Response[Any]:
        """Read, call, answer."""
        given = dict(self._collaborators)
        for parameter in self._path:
            given[parameter.name] = _from_path(request, parameter)
        given |= self._from_query(request)
        if self._reader is not None:
            await self._from_body(request, self._reader, given)
        if "request" in self._wants:
            given["request"] = request
        if "principal" in self._wants:
            given["principal"] = request.user
        result = self._fn(**given)
        if inspect.isawaitable(result):
            late = IN_DOUBT if self._route.method in _WITH_BODY else UNAVAILABLE
            result = await timely(result, late, None if self._patient else ANSWER_S)
        if isinstance(result, Response):
            return result
        if isinstance(result, Answer):
            return as_response(result)
        if result is None:
            return as_response(Answer(self._route.status, b""))
        return as_response(answer(result, self._route.status))

    async def _from_body(
        self, request: Request[Any, Any, Any], reader: Reader[Any], given: dict[str, Any]
    ) -> None:
        body = await request.body()
        data = self._no_body if not body and self._route.optional_body else reader.read(body)
        if "data" in self._wants:
            given["data"] = data

    def _from_query(self, request: Request[Any, Any, Any]) -> dict[str, Any]:
        raw: bytes = request.scope["query_string"]
        values = read_query(raw) if raw else {}
        for name in values.keys() - self._query.keys():
            raise MALFORMED.error("There is no such query parameter here.", field=name[:64])
        given = {}
        for name, parameter in self._query.items():
            if name in values:
                given[name] = _from_values(values[name], parameter)
            elif parameter.default is UNSET:
                raise MALFORMED.error(f"The query parameter {name} is missing.", field=name)
        return given


def _from_path(request: Request[Any, Any, Any], parameter: Parameter) -> Any:
    """A malformed id and an unknown one are the same to a caller."""
    try:
        return read_text(str(request.path_params[parameter.name]), parameter.kind, parameter.name)
    except KabaoError:
        raise NOT_FOUND.error() from None


def _from_values(values: list[str], parameter: Parameter) -> Any:
    if parameter.many:
        try:
            return msgspec.convert(values, parameter.kind, strict=False)
        except msgspec.ValidationError:
            raise MALFORMED.error(field=parameter.name) from None
    if len(values) > 1:
        raise MALFORMED.error("This may be given once only.", field=parameter.name)
    return read_text(values[0], parameter.kind, parameter.name)


def _parameter(name: str, path: str, hint: Any, asked: inspect.Parameter) -> Parameter:
    place = "path" if f"{{{name}:" in path else "query"
    default = UNSET if asked.default is inspect.Parameter.empty else asked.default
    assert not isinstance(type_info(hint), CustomType), f"nobody provides {name}: {hint}"
    return Parameter(name, place, _bounded(hint), default)


def _bounded(hint: Any) -> Any:
    """A text without limits of its own gets those of `ShortText`."""
    if hint is str:
        return ShortText
    if hint == str | None:
        return ShortText | None
    return hint


def _default(asked: Mapping[str, inspect.Parameter]) -> Any:
    """What stands for an empty body."""
    data = asked.get("data")
    return Nothing() if data is None or data.default is inspect.Parameter.empty else data.default


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _segment(part: str) -> str:
    """`{card:str}` to `{card}`."""
    return f"{part.partition(':')[0]}}}" if part.startswith("{") else part


def _given(hint: Any) -> Any:
    """`Response[CardView]` and `CardView` to `CardView`; None stays None."""
    if get_origin(hint) is Response:
        hint = get_args(hint)[0]
    if any(hint is nothing for nothing in (None, NoneType, Response, Answer, Any)):
        return None
    assert get_origin(hint) not in {Union, UnionType}, "an answer has one type"
    return hint
