"""A receiver that applies every event once: `python receiver.py settings.json`.

It needs `pip install standardwebhooks` and nothing else. `settings.json` holds the
endpoint's secret and where to keep what was received; docs/recipes/receive-webhooks.md
explains every line.
"""

# ruff: noqa: T201 -- a program of its own, which prints
import json
import sqlite3
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from standardwebhooks import Webhook, WebhookVerificationError

LONGEST = 100_000
TABLES = """
create table if not exists seen (id text primary key, stream text, sequence integer);
create table if not exists last (stream text primary key, sequence integer not null);
create table if not exists missed (stream text, sequence integer, primary key (stream, sequence));
create table if not exists turnover (store text primary key, fen integer not null);
"""


class Books:
    """What was received, and what came of it, in one transaction each."""

    def __init__(self, file: str) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = full")
        self._db.executescript(TABLES)

    def take(self, event: dict) -> bool:
        """Apply an event unless it was applied before. When this returns it is on disk."""
        stream, sequence = event["stream"], event["sequence"]
        with self._lock:
            self._db.execute("begin immediate")
            try:
                new = self._db.execute(
                    "insert or ignore into seen values (?, ?, ?)", (event["id"], stream, sequence)
                ).rowcount
                if new:
                    self._place(stream, sequence)
                    self._apply(event["type"], event["data"])
                self._db.execute("commit")
            except BaseException:
                self._db.execute("rollback")
                raise
        return bool(new)

    def _place(self, stream: str | None, sequence: int | None) -> None:
        """Note where a card's story has a gap: fetch that from `GET /v1/events`."""
        if stream is None or sequence is None:
            return
        found = self._db.execute("select sequence from last where stream = ?", (stream,))
        last = (found.fetchone() or (sequence - 1,))[0]
        for gap in range(last + 1, sequence):
            self._db.execute("insert or ignore into missed values (?, ?)", (stream, gap))
        self._db.execute("delete from missed where stream = ? and sequence = ?", (stream, sequence))
        self._db.execute(
            "insert into last values (?, ?) on conflict (stream)"
            " do update set sequence = max(sequence, excluded.sequence)",
            (stream, sequence),
        )

    def _apply(self, kind: str, data: dict) -> None:
        """Your own business. Here: what each store has sold."""
        sign = {"payment.captured": 1, "payment.voided": -1, "payment.reversed": -1}.get(kind)
        if sign is not None:
            self._db.execute(
                "insert into turnover values (?, ?) on conflict (store)"
                " do update set fen = fen + excluded.fen",
                (data["store"], sign * data["amount"]),
            )


class Door(BaseHTTPRequestHandler):
    """Verifies, applies, and only then says that it has it."""

    protocol_version = "HTTP/1.1"
    webhook: Webhook
    books: Books

    def do_POST(self) -> None:
        """An event."""
        body = self.rfile.read(min(int(self.headers.get("content-length", 0)), LONGEST))
        try:
            event = self.webhook.verify(body, dict(self.headers.items()))
        except WebhookVerificationError:
            self._answer(401)
            return
        self.books.take(event)
        self._answer(204)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: addresses may hold secrets."""


def main() -> None:
    """Serve until stopped; the first line tells the port."""
    told = json.loads(Path(sys.argv[1]).read_text())
    Door.webhook, Door.books = Webhook(told["secret"]), Books(told["file"])
    server = ThreadingHTTPServer((told.get("host", "127.0.0.1"), told.get("port", 0)), Door)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
