"""From bytes to a parsed head: what the fast door changes in uvicorn's parsing.

Limits on all that a client can make grow, refusals in our own words, and a
cheaper start of every request.
"""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from kabao.base.errors import MALFORMED, KabaoError
from kabao.base.logs import describe

_log = logging.getLogger("kabao.web")

MAX_URL = 2_048
MAX_HEAD = 32_768
MAX_HEADERS = 100


class Refused(Exception):  # noqa: N818  # it carries the error
    """Raised inside a parser callback to give up on the connection."""

    def __init__(self, error: KabaoError) -> None:
        self.error = error


class WireProtocol(HttpToolsProtocol):
    """uvicorn's protocol, parsing as we want it."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._deaf = False  # nothing more is read: the connection is to end
        self._in_head = False
        self._head_size = self._head_read = 0
        self._moment = self.loop.time()  # of the last message begun or answered

    @abstractmethod
    def _refuse(self, error: KabaoError) -> None:
        """Answer what cannot be parsed, and end the connection."""

    def data_received(self, data: bytes) -> None:
        """Parse what came; the callbacks below do the rest."""
        self._head_read += len(data)  # starts at 0 again whenever a message begins
        while data and not self._deaf:
            data = self._feed(data)
        if self._in_head and self._head_read > MAX_HEAD:
            self._refuse(MALFORMED.error("The headers are too long."))

    def _feed(self, data: bytes) -> bytes:
        """Parse; what is left over is to be parsed again."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return self._without_upgrade() + data[upgrade.args[0] :]
        except httptools.HttpParserCallbackError as error:
            self._refuse(_told(error))
        except httptools.HttpParserError:
            self._refuse(MALFORMED.error("This is not HTTP/1.1."))
        return b""

    def _without_upgrade(self) -> bytes:
        """The head once more, without its offer of another protocol.

        The parser takes what follows for that other protocol, and Java's
        client makes this offer (`h2c`) on requests that have a body.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as in uvicorn
        lines = [b"%b %b HTTP/%b" % (method, self.url, version)]
        lines += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def on_message_begin(self) -> None:
        """Cheaper than uvicorn's: the scope is built only if it is needed."""
        self.url = b""
        self.headers = []
        self._in_head = True
        self._head_size = self._head_read = 0
        self._moment = self.loop.time()

    def on_url(self, url: bytes) -> None:
        """Collect the target."""
        self.url += url
        if len(self.url) > MAX_URL:
            raise Refused(MALFORMED.error(f"The URL is longer than {MAX_URL} characters."))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header. A trailer comes too late to be one."""
        if not self._in_head:
            return
        self.headers.append((name.lower(), value))
        self._head_size += len(name) + len(value)
        if self._head_size > MAX_HEAD or len(self.headers) > MAX_HEADERS:
            raise Refused(MALFORMED.error("The headers are too long."))

    def _open_scope(self) -> None:
        """Do what uvicorn does when a message begins, now that it is needed."""
        url, headers = self.url, self.headers
        if not _has_path(url):
            raise Refused(MALFORMED.error("The request target is not a path."))
        super().on_message_begin()
        self.url = url
        self.headers.extend(headers)
        self.expect_100_continue = any(
            name == b"expect" and value.lower() == b"100-continue" for name, value in headers
        )


def _has_path(url: bytes) -> bool:
    """Origin form or absolute form, in ASCII."""
    try:
        return url.isascii() and bool(httptools.parse_url(url).path)
    except httptools.HttpParserInvalidURLError:
        return False


def _told(error: httptools.HttpParserCallbackError) -> KabaoError:
    """What was raised inside a callback; anything but `Refused` is a defect."""
    cause = error.__context__
    if isinstance(cause, Refused):
        return cause.error
    _log.error("a parser callback failed\n%s", describe(error))
    return MALFORMED.error()
