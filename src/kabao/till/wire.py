"""HTTP to the first host that answers: the platform, or its standby (P-20)."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from kabao.till.model import UnreachableError

MAX_BYTES = 1 << 20
"""More than that is no answer of the platform's."""


class NoAnswerError(Exception):
    """Sent, perhaps in part, and not answered: it may have happened."""


class Reply(msgspec.Struct, frozen=True):
    """Status and body."""

    status: int
    body: bytes


class Wire:
    """One request at a time, each on a connection of its own.

    Args:
        hosts: base URLs, the preferred one first, such as `https://pos.example.com`.
        api_key: the store's key.
        connect_s: how long a host may take to be reached.
        answer_s: how long it may take to answer; the platform itself answers within 5 s.
        tls: for client certificates or a private authority; None for the usual one.
    """

    def __init__(
        self,
        hosts: Sequence[str],
        api_key: str,
        *,
        connect_s: float = 2.0,
        answer_s: float = 6.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        if not hosts:
            raise ValueError("a till needs a host")
        self._hosts = [urlsplit(host) for host in hosts]
        self._key, self._tls = api_key, tls
        self._connect_s, self._answer_s = connect_s, answer_s
        self._at = 0

    def turn(self) -> None:
        """Go on with the next host."""
        self._at = (self._at + 1) % len(self._hosts)

    def ask(self, method: str, path: str, body: bytes = b"", key: str | None = None) -> Reply:
        """Ask the host of the moment; after a failure the next request goes to the next.

        Raises `UnreachableError` if nothing was sent, `NoAnswerError` if something was.
        """
        headers = {"authorization": f"Bearer {self._key}", "content-type": "application/json"}
        if key is not None:
            headers["idempotency-key"] = key
        connection = self._connection()
        try:
            self._connect(connection)
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            reply = Reply(answer.status, answer.read(MAX_BYTES))
        except (OSError, http.client.HTTPException) as lost:
            self.turn()
            raise NoAnswerError from lost
        except UnreachableError:
            self.turn()
            raise
        finally:
            connection.close()
        if reply.status >= 500:
            self.turn()
        return reply

    def _connection(self) -> http.client.HTTPConnection:
        host = self._hosts[self._at]
        if host.scheme == "https":
            return http.client.HTTPSConnection(
                host.hostname or "", host.port, timeout=self._connect_s, context=self._tls
            )
        return http.client.HTTPConnection(host.hostname or "", host.port, timeout=self._connect_s)

    def _connect(self, connection: http.client.HTTPConnection) -> None:
        try:
            connection.connect()
        except OSError as unreachable:
            raise UnreachableError from unreachable
        assert connection.sock is not None
        connection.sock.settimeout(self._answer_s)
