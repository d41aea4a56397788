"""What clients sent and were told, for `kabao audit --journal` (I-3, I-4).

The journal is made of the bytes that went out and came back, so it knows
nothing but what a till would know.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

_SUB_ACTIONS = {"capture": "capture", "void": "void", "refunds": "refund"}


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line, as the audit reads it."""

    key: str
    verb: str
    status: str
    amount: int = 0
    approved: int | None = None
    id: str | None = None


class Journal:
    """Everything that moves value, as its clients saw it."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def note(self, request: bytes, status: int | None, body: bytes) -> None:
        """A request, and its answer if there was one."""
        head, _, sent = request.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1)[:2] for line in lines)
        method, path, _ = first.split(" ")
        key = next((li[17:] for li in lines if li.lower().startswith("idempotency-key: ")), None)
        verb = _verb(path)
        if method != "POST" or verb is None or key is None or "chunked" in headers.values():
            return
        try:
            asked = json.loads(sent) if sent else {}
        except (ValueError, RecursionError):
            return
        if isinstance(asked, dict):
            self._add(key, verb, asked, status, body)

    def _add(
        self, key: str, verb: str, asked: dict[str, Any], status: int | None, body: bytes
    ) -> None:
        amount = asked.get("amount")
        amount = amount if type(amount) is int and 0 < amount < 2**53 else 0
        if verb == "pay" and asked.get("capture") is False:
            verb = "hold"
        if status is None or status >= 500:
            self.entries.append(Entry(key, verb, "unknown", amount))
        elif status >= 400:
            self.entries.append(Entry(key, verb, "refused", amount))
        else:
            told = json.loads(body)
            ident = None if verb in {"capture", "void", "topup_void"} else told["id"]
            moved = told.get("approved_amount", told.get("amount"))
            answered = "refunded" if verb == "refund" else told["status"]
            self.entries.append(Entry(key, verb, answered, amount, moved, ident))

    def write(self, file: Path) -> None:
        """As the audit reads it: a JSON object a line."""
        encode = msgspec.json.Encoder().encode
        file.write_bytes(b"".join(encode(entry) + b"\n" for entry in self.entries))


def _verb(path: str) -> str | None:
    match path.partition("?")[0].strip("/").split("/"):
        case ["v1", "payments"]:
            return "pay"
        case ["v1", "payments", _, action]:
            return _SUB_ACTIONS.get(action)
        case ["v1", "reversals"]:
            return "reverse"
        case ["v1", "topups"]:
            return "topup"
        case ["v1", "topups", _, "void"]:
            return "topup_void"
    return None
