"""`demo.json`: what a script needs to go on where the demo has ended."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from kabao.simulation.chain import Chain, Keys
from kabao.simulation.ports import Pids
from kabao.simulation.setup import SPARE_FEN
from kabao.simulation.world import Class

FILE = "demo.json"
LOOK_EVERY_S = 0.5


class DemoPids(msgspec.Struct, frozen=True):
    """Process ids at this moment."""

    server: list[int]
    postmaster: int | None


class DemoTerminal(msgspec.Struct, frozen=True):
    """A terminal, with the master key it signs in with over ISO 8583, in hex."""

    id: str
    terminal_no: str
    merchant_no: str
    tmk: str

    def __repr__(self) -> str:
        return f"DemoTerminal({self.id})"


class DemoCard(msgspec.Struct, frozen=True):
    """An active card with that much on it, untouched by the trading day."""

    id: str
    number: str
    pin: str
    balance: int

    def __repr__(self) -> str:
        return f"DemoCard({self.id})"


class DemoFile(msgspec.Struct, frozen=True):
    """The file, as design.md fixes it."""

    http: str
    pos: str
    database_url: str
    keys: dict[str, str]
    pids: DemoPids
    programmes: dict[str, str]
    stores: list[str]
    terminals: list[DemoTerminal]
    cards: list[DemoCard]

    def __repr__(self) -> str:
        return f"DemoFile({self.http})"


def describe(
    http: str,
    pos: str,
    database_url: str,
    keys: Keys,
    chain: Chain,
    masters: Mapping[str, str],
    pids: Pids,
) -> DemoFile:
    """What the file says of a built chain; `masters`: master keys by terminal."""
    return DemoFile(
        http=http,
        pos=pos,
        database_url=database_url,
        keys=msgspec.structs.asdict(keys),
        pids=_pids(pids),
        programmes={kind.value: chain.programmes[kind] for kind in Class},
        stores=[shop.id for shop in chain.shops],
        terminals=[
            DemoTerminal(till.terminal, till.terminal_no, shop.merchant_no, masters[till.terminal])
            for shop in chain.shops
            for till in shop.tills
        ],
        cards=[DemoCard(c.id, c.number, c.pin, SPARE_FEN) for c in chain.spare],
    )


def _pids(pids: Pids) -> DemoPids:
    return DemoPids(list(pids.servers), pids.postmaster)


class DemoDoor:
    """Writes the file, and again whenever a process was brought back."""

    def __init__(self, data: Path, file: DemoFile, look: Callable[[], Pids]) -> None:
        """`look` tells the process ids of the moment."""
        self._path, self._file, self._look = data / FILE, file, look
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="demo.json", daemon=True)

    def __enter__(self) -> DemoDoor:
        self._write()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._file = msgspec.structs.replace(self._file, pids=DemoPids([], None))
        self._write()

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_EVERY_S):
            pids = _pids(self._look())
            if pids != self._file.pids:
                self._file = msgspec.structs.replace(self._file, pids=pids)
                self._write()

    def _write(self) -> None:
        """Whole or not at all, and for nobody else's eyes: there are keys and PINs in it."""
        beside = self._path.with_suffix(".json.new")
        text = msgspec.json.format(msgspec.json.encode(self._file), indent=1)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as stream:  # noqa: PTH123 -- opened with its mode
            stream.write(text + b"\n")
        beside.replace(self._path)
