"""The fast door: hot routes answered by the protocol itself, all else by uvicorn.

A plain request to a hot route never meets ASGI: headers and body go from the C
parser to `HotDoor.enter`, the answer's bytes go to the transport, and nothing
is awaited in between. Any other request takes uvicorn's way, unchanged.

Both kinds share one connection, so this keeps uvicorn's state machine: `cycle`
is the request parsed last, `pipeline` holds the parsed ones that wait, newest
first, and exactly one request of a connection is at work at a time. (RFC 9112
9.3.2: requests that change something are not to be worked on in parallel; and
then the answers are in order by themselves.) A `FastCycle` has the attributes
of uvicorn's `RequestResponseCycle` that this state machine looks at.

Instead of a timer per request there is `sweep`, called once a second for every
connection.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from kabao.base.errors import IN_DOUBT, MALFORMED, TOO_LARGE, UNAVAILABLE, KabaoError
from kabao.base.web.answers import Answer
from kabao.base.web.cycle import FastCycle, Flow
from kabao.base.web.doors import Entry, FastDoor
from kabao.base.web.hot import MAX_BODY
from kabao.base.web.principal import bearer
from kabao.base.web.problems import failed, problem
from kabao.base.web.wire import Refused, WireProtocol

MAX_IGNORED = 4 * MAX_BODY
"""Bytes of a body that are read and dropped after it was refused, so that the
client gets to read the answer instead of a reset; then the connection closes."""


class FastProtocol(WireProtocol):
    """uvicorn's protocol with a shortcut for the hot routes."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        door: FastDoor,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._door = door
        self._secure = False
        self._ignored = 0
        self._advancing = False
        self._reading: Any = None  # the request whose body is being parsed
        self._current: Any = None  # the one request at work
        self._stuck_since: float | None = None
        self._lingers = False

    # The transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Take the connection, unless there are too many."""
        super().connection_made(transport)
        self.flow = Flow(transport, self.pipeline)
        self._secure = self.scheme == "https"
        if len(self.connections) > self._door.max_connections:
            self._refuse(UNAVAILABLE.error("Too many connections."))

    def pause_writing(self) -> None:
        """The client does not read: stop reading from it, too."""
        super().pause_writing()
        self.flow.pause_reading()
        self._stuck_since = self.loop.time()

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        self._stuck_since = None
        self._advance()
        self.flow.resume_reading()

    def shutdown(self) -> None:
        """Finish what was begun, begin nothing new."""
        self._end_after_this()

    def sweep(self, now: float) -> None:
        """Close the connection if it has been waiting for the client too long."""
        patience, since = self._door.patience, self._moment
        cycle: Any = self.cycle
        busy = cycle is not None and not cycle.response_complete
        if self._stuck_since is not None:
            if now - self._stuck_since > patience.write_s:
                self.transport.abort()
        elif self._lingers:
            if now - since > patience.linger_s:
                self.transport.close()
        elif self.flow.read_paused:
            pass  # it is waiting for us
        elif self._in_head:
            if now - since > patience.head_s:
                self.transport.close()
        elif busy:
            if cycle.more_body and now - since > patience.body_s:
                self.transport.close()
        elif now - since > patience.idle_s:
            self.transport.close()

    # The parser

    def on_headers_complete(self) -> None:
        """Decide which door."""
        self._in_head = False
        if self._deaf or self.transport.is_closing():
            self._deaf = True  # pipelined behind the last request of the connection
            return
        self._method = method = self.parser.get_method()
        if self.parser.should_upgrade():
            if method == b"CONNECT":
                raise Refused(MALFORMED.error("This is no proxy."))
            return  # it comes again, see WireProtocol
        methods = self._door.entries.get(self.url)
        entry = None if methods is None else methods.get(method)
        if entry is None or not self._begin_fast(entry):
            self._begin_cold()
        self._reading = self.cycle

    def on_body(self, body: bytes) -> None:
        """Collect the body; or drop it, if the answer is out already."""
        cycle: Any = self._reading
        if cycle is None:
            return
        if cycle.response_complete:
            self._ignored += len(body)
            if self._ignored > MAX_IGNORED:
                self.transport.close()
        elif type(cycle) is FastCycle:
            if not cycle.body:
                cycle.body = body
            elif type(cycle.body) is bytearray:
                cycle.body += body
            else:
                cycle.body = bytearray(cycle.body) + body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is all there."""
        cycle, self._reading = self._reading, None
        if type(cycle) is FastCycle:
            cycle.more_body = False
            if cycle.active and not cycle.response_complete:
                self._work(cycle)
        elif cycle is not None:
            super().on_message_complete()

    # The state machine

    def _begin_fast(self, entry: Entry) -> bool:
        """Take the request if it is a plain one."""
        parser = self.parser
        headers = dict(self.headers)
        length = headers.get(b"content-length")
        if (
            length is None
            or len(headers) != len(self.headers)
            or b"expect" in headers
            or b"transfer-encoding" in headers
            or parser.get_http_version() != "1.1"
        ):
            return False
        cycle = FastCycle(self._door.ids.new(), self._moment, keep_alive=parser.should_keep_alive())
        cycle.entry = entry
        if int(length) > MAX_BODY:
            cycle.answer = problem(TOO_LARGE.error(), cycle.request_id)
        token, key = headers.get(b"authorization"), headers.get(b"idempotency-key")
        cycle.token = None if token is None else bearer(token.decode("latin-1"))
        cycle.key = None if key is None else key.decode("latin-1")
        self._enqueue(cycle)
        return True

    def _begin_cold(self) -> None:
        """Give the request to uvicorn, as if it had parsed it alone."""
        self._open_scope()
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._current = cycle
        super()._start_asgi_task(cycle, app)

    def _enqueue(self, cycle: FastCycle) -> None:
        """Make it the current request, or let it wait for those before it."""
        before: Any = self.cycle
        self.cycle = cycle  # type: ignore[assignment]  # a look-alike
        if (before is None or before.response_complete) and not self.flow.write_paused:
            self._activate(cycle)
        else:
            self.pipeline.appendleft((cycle, None))  # type: ignore[arg-type]  # the same
            self.flow.pause_reading()

    def _activate(self, cycle: FastCycle) -> None:
        self._current, cycle.active = cycle, True
        if cycle.answer is not None:
            self._reply(cycle, cycle.answer)
        elif not cycle.more_body:
            self._work(cycle)

    def _work(self, cycle: FastCycle) -> None:
        """Call the core; its future, if it gives one, calls back."""
        assert cycle.entry is not None, "only refusals have no route"
        try:
            given = self._door.hot.enter(
                cycle.entry.route, cycle.token, cycle.key, cycle.body, cycle.request_id
            )
        except Exception as error:  # noqa: BLE001  # every failure is an answer
            self._reply(cycle, failed(error, cycle.request_id))
            return
        if type(given) is Answer:
            self._reply(cycle, given)
            return
        if isinstance(given, asyncio.Task):  # graceful shutdown waits for these
            self.tasks.add(given)
            given.add_done_callback(self.tasks.discard)
        settled = partial(self._settled, cycle)
        given.add_done_callback(settled)  # type: ignore[union-attr]  # no Answer, see above

    def _settled(self, cycle: FastCycle, future: asyncio.Future[Any]) -> None:
        assert cycle.entry is not None, "only refusals have no route"
        try:
            answer = cycle.entry.route.finish(future.result())
        except asyncio.CancelledError:  # we stop waiting; the work may go on
            answer = failed(IN_DOUBT.error(), cycle.request_id)
        except Exception as error:  # noqa: BLE001  # every failure is an answer
            answer = failed(error, cycle.request_id)
        self._reply(cycle, answer)

    def _reply(self, cycle: FastCycle, answer: Answer) -> None:
        """Send the answer and go on with the next request."""
        cycle.response_complete = True
        meter = self._door.refused if cycle.entry is None else cycle.entry.meter
        meter.count(answer.status, self.loop.time() - cycle.began)
        if self.transport.is_closing():
            return
        head = self._door.head(
            answer,
            self.server_state.default_headers,
            secure=self._secure,
            close=not cycle.keep_alive,
        )
        self.transport.write(
            b"%b%b\r\ncontent-length: %d\r\n\r\n%b"
            % (head, cycle.request_id.encode(), len(answer.body), answer.body)
        )
        if not cycle.keep_alive:
            self._end(lingering=cycle.more_body)
        self.on_response_complete()

    def on_response_complete(self) -> None:
        """A request of either kind is answered: the next one, if there is one."""
        self.server_state.total_requests += 1
        if self.transport.is_closing() or self._lingers:
            return
        self._ignored = 0
        self._moment = self.loop.time()
        self._advance()
        self.flow.resume_reading()

    def _advance(self) -> None:
        """Start what waits. A loop, because an answer given at once comes back here."""
        if self._advancing:
            return
        self._advancing = True
        try:
            while self.pipeline and self._free():
                cycle, app = self.pipeline.pop()
                if isinstance(cycle, FastCycle):
                    self._activate(cycle)
                else:
                    self._start_asgi_task(cycle, app)
        finally:
            self._advancing = False

    def _free(self) -> bool:
        return (
            (self._current is None or self._current.response_complete)
            and not self.flow.write_paused
            and not self.transport.is_closing()
        )

    # The end of a connection

    def _refuse(self, error: KabaoError) -> None:
        """Answer what cannot be parsed, after everything that could, and close."""
        if self._deaf:
            return
        self._deaf = True
        request_id = self._door.ids.new()
        refusal = FastCycle(request_id, self.loop.time(), keep_alive=False)
        refusal.answer = problem(error, request_id)
        broken: Any = self.cycle
        unfinished = broken is not None and not broken.response_complete and broken.more_body
        if unfinished and not self._abandon(broken):
            self._end()
        else:
            self._enqueue(refusal)

    def _abandon(self, broken: Any) -> bool:
        """Drop the request whose body broke off. False if it is half answered."""
        if self.pipeline and self.pipeline[0][0] is broken:
            self.pipeline.popleft()
            self.cycle = self._current
            return True
        if not isinstance(broken, FastCycle):
            if broken.response_started:
                return False
            broken.disconnected = True
            broken.message_event.set()
        broken.response_complete = True
        return True

    def _end_after_this(self) -> None:
        """No further requests: close once the last one parsed is answered."""
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete or self._lingers:
            self._end()
        else:
            cycle.keep_alive = False
            self._deaf = not cycle.more_body

    def _end(self, *, lingering: bool = False) -> None:
        """Close; or only our side, while the client is still sending.

        Closing on bytes that nobody has read resets the connection, and the
        client might never see the answer.
        """
        self._deaf = True
        if lingering and self.transport.can_write_eof():
            self._lingers, self._moment = True, self.loop.time()
            self.transport.write_eof()
            self.flow.resume_reading()
        else:
            self.transport.close()
