"""What happened to a machine, on disk before it happens."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Journal:
    """Events as lines of JSON, each synced; numbered from 1 without gaps."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._events: list[dict[str, Any]] = []
        if file.exists():
            whole, _, _torn = file.read_bytes().rpartition(b"\n")
            self._events = [_decode(line) for line in whole.splitlines()]
            file.write_bytes(whole + b"\n" if whole else b"")

    def write(self, event: dict[str, Any]) -> None:
        """Keep what happens next, under the next number."""
        event = {"sequence": len(self._events) + 1} | event
        with self._file.open("ab") as out:
            out.write(_encode(event) + b"\n")
            out.flush()
            os.fsync(out.fileno())
        self._events.append(event)

    def since(self, sequence: int, at_most: int) -> list[dict[str, Any]]:
        """Events from a number on."""
        return self._events[sequence - 1 : sequence - 1 + at_most]
