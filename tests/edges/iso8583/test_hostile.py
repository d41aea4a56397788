"""Bent, forged and senseless messages, and peers that waste the host's time."""

from __future__ import annotations

import asyncio
import logging
import resource
import secrets
import socket
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kabao.app.fuzz_pos import Outcome, frames
from kabao.app.pos import build_host
from kabao.base.db import Database
from kabao.base.web.server import listen
from kabao.edges.iso8583 import sql
from kabao.edges.iso8583.limits import Limits
from kabao.edges.iso8583.model import FormatError
from kabao.edges.iso8583.peer import Peer
from kabao.edges.iso8583.reading import Reader
from kabao.edges.iso8583.spec import SHIPPED, shipped, words
from tests.base.web.make import until

from .conftest import Pos, hosted
from .till import pack, unpack

FLIPS = 10_000
FRAMES = 100_000
GROWTH_KB = 50_000


@pytest.mark.row("P-19")
async def test_no_flipped_bit_is_accepted(pos: Pos) -> None:
    """ATK-6: every bit of message types, bitmap, fields and MAC, on many messages."""
    till, card = await pos.till(), await pos.card(10_000)
    desk, done = pos.host.desk, 0
    while done < FLIPS:
        frame = till.framed(till.signed(*till.sale(card, 100)))[2:]
        for bit in range(8 * 11, 8 * len(frame)):
            bent = bytearray(frame)
            bent[bit // 8] ^= 0x80 >> bit % 8
            done += 1
            try:
                answer = desk.handle(desk.reader(bytes(bent)), bytes(bent), Peer(certified=True))
            except FormatError:
                continue
            answer = answer if isinstance(answer, bytes) else await answer.answer()
            assert _code(answer) not in {"00", "10"}, bit
    assert await pos.actors.balance(card) == (10_000, 10_000)


def _code(answer: bytes) -> str:
    return str(unpack(answer[11:])[1][39])


def test_a_hundred_thousand_frames_of_noise_are_read_or_refused() -> None:
    """The codec alone: `FormatError` and nothing else."""
    readers = {name: Reader(shipped(name), words()) for name in SHIPPED}
    for frame in islice(frames("codec"), FRAMES // 2):
        for reader in readers.values():
            try:
                reader.read(frame[2:], reader.dialect.frame.head_bytes)
            except FormatError:
                continue


@pytest.mark.parametrize("count", [10_000, pytest.param(1_000_000, marks=pytest.mark.proof)])
async def test_a_sale_takes_less_than_a_second_while_the_host_is_fuzzed(
    pos: Pos, caplog: pytest.LogCaptureFixture, record_property: Any, count: int
) -> None:
    """ATK-7, and no memory is lost: what `python -m kabao.app.fuzz_pos` does to any host."""
    caplog.set_level(logging.ERROR, "kabao.pos")  # pytest keeps every line it hears
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    till, card = await pos.till(), await pos.card(10_000)
    command = [sys.executable, "-m", "kabao.app.fuzz_pos", f"127.0.0.1:{pos.port}", str(count)]
    program = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    fuzzing = asyncio.create_task(program.communicate())
    slowest, sales = 0.0, 0
    while not fuzzing.done():
        begun = time.perf_counter()
        assert (await till.buy(card, 1)).code in {"00", "65"}
        slowest, sales = max(slowest, time.perf_counter() - begun), sales + 1
        await asyncio.sleep(0.05)
    assert program.returncode == 0
    outcome = msgspec.json.decode(fuzzing.result()[0], type=Outcome)
    assert outcome.answered > 0
    assert outcome.hung_up > 0
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
    record_property("fuzzed", [msgspec.structs.asdict(outcome), sales, slowest, grown_kb])
    assert slowest < 1, slowest
    assert grown_kb < GROWTH_KB
    assert (await till.buy(card, 1)).code in {"00", "65"}


IMPATIENT = Limits(idle_s=0.6, first_s=0.5, partial_s=0.4, connections=3, in_flight=4)


async def test_whoever_is_idle_or_sends_halves_is_cut_off(db: Database, tmp_path: Path) -> None:
    async with hosted(db, tmp_path, IMPATIENT) as pos:
        for first in (b"", b"\x00", b"\x00\x30\x60\x00"):
            reader, writer = await asyncio.open_connection("127.0.0.1", pos.port)
            writer.write(first)
            async with asyncio.timeout(5):
                assert await _rest(reader) == b""
            writer.close()
        crowd = [await asyncio.open_connection("127.0.0.1", pos.port) for _ in range(3)]
        reader, writer = await asyncio.open_connection("127.0.0.1", pos.port)
        async with asyncio.timeout(5):
            assert await _rest(reader) == b""
        for _, other in [*crowd, (reader, writer)]:
            other.close()


async def _rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionError:
        return b""


async def test_more_than_may_be_in_flight_is_answered_all_the_same(
    db: Database, tmp_path: Path
) -> None:
    async with hosted(db, tmp_path, Limits(in_flight=4, in_flight_total=6)) as pos:
        tills = [await pos.till(), await pos.till(fresh=True)]
        card = await pos.card(10_000)
        answers = await asyncio.gather(*(till.inquire(card) for till in tills for _ in range(100)))
        assert {a.code for a in answers} == {"00"}


async def test_a_frame_too_long_or_of_no_dialect_ends_the_connection(pos: Pos) -> None:
    for wrong in (b"\xff\xff" + bytes(20), b"\x00\x05hello", b"\x00\x00", b"\x00\x0b" + bytes(11)):
        reader, writer = await asyncio.open_connection("127.0.0.1", pos.port)
        writer.write(wrong)
        async with asyncio.timeout(5):
            assert await _rest(reader) == b""
        writer.close()


async def test_what_cannot_be_read_is_a_format_error_where_the_head_can(pos: Pos) -> None:
    till = await pos.till()
    reader, writer = await asyncio.open_connection("127.0.0.1", pos.port)
    writer.write(till.framed(bytes.fromhex("0200") + secrets.token_bytes(30)))
    size = int.from_bytes(await reader.readexactly(2), "big")
    answer = await reader.readexactly(size)
    assert _code(answer) == "30"
    writer.close()


async def test_who_holds_no_keys_cannot_crowd_out_a_till(db: Database, tmp_path: Path) -> None:
    """Sign-ins that wait, sent by hundreds, leave room for sales, and nobody is forgotten."""
    limits = Limits(in_flight_total=8, unvouched_total=8, in_flight=4, unvouched=2)
    async with hosted(db, tmp_path, limits) as pos:
        till, card = await pos.till(), await pos.card(10_000)
        about = await pos.key(pos.world.south)
        first = pos.raw(*about)
        await first.connect()
        assert (await first.sign_in()).code == "00"
        async with pos.kabao.db.transaction() as conn:
            victim = pos.world.south.terminal.removeprefix("ter_")
            assert await sql.lock_session(conn, victim) is not None
            crowd = [pos.raw(*about) for _ in range(12)]
            for one in crowd:
                await one.connect()
            asked = [asyncio.ensure_future(one.sign_in()) for one in crowd for _ in range(5)]
            async with asyncio.timeout(5):
                await until(lambda: pos.host.crowd.waiting > 0)
                for _ in range(20):
                    assert (await till.buy(card, 1)).code in {"00", "65"}
            assert pos.host.crowd.waiting <= len(crowd)
            assert not any(one.done() for one in asked)
        assert {answer.code for answer in await asyncio.gather(*asked)} == {"00"}
        assert (pos.host.crowd.waiting, pos.host.crowd.in_flight) == (0, 0)


async def test_who_reads_nothing_is_cut_off_even_when_it_ends_wrongly(pos: Pos) -> None:
    """Answers that nobody reads keep no connection open that the host wants to end."""
    other = build_host(pos.kabao, limits=Limits(slow_s=0.3))
    sock = listen("127.0.0.1", 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
    await other.start(sock)
    echo = pos.raw(*await pos.key(pos.world.north))
    frame = echo.framed(pack("0820", echo.common("00") | {60: "00000001301"}))
    loop = asyncio.get_running_loop()
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        deaf.setblocking(False)
        await loop.sock_connect(deaf, sock.getsockname())
        await loop.sock_sendall(deaf, 2_000 * frame + b"\xff\xff")
        async with asyncio.timeout(5):
            await until(lambda: other.desk.meters.faults.of("frame") == 1)
            assert len(other.crowd) == 1
            await until(lambda: len(other.crowd) == 0)
    assert other.desk.meters.faults.of("cut_off") == 1
    await other.stop()


async def test_every_kind_of_fault_is_logged_once_a_connection_and_counted(
    pos: Pos, caplog: pytest.LogCaptureFixture
) -> None:
    till, card = await pos.till(), await pos.card(1_000)
    faults = pos.host.desk.meters.faults
    unreadable = till.framed(bytes.fromhex("0200") + bytes(30))
    sale = till.signed(*till.sale(card, 100))
    forged = till.framed(sale[:-1] + bytes([sale[-1] ^ 1]))
    with caplog.at_level(logging.WARNING, "kabao.pos"):
        reader, writer = await asyncio.open_connection("127.0.0.1", pos.port)
        writer.write(3 * unreadable + 3 * forged)
        for _ in range(6):
            await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        writer.write(b"\xff\xff")
        assert await _rest(reader) == b""
        writer.close()
    assert [faults.of(kind) for kind in ("format", "mac", "frame")] == [3, 3, 1]
    told = [getattr(record, "msg", {}) for record in caplog.records]
    assert [line["kind"] for line in told if line["event"] == "pos.fault"] == [
        "format",
        "mac",
        "frame",
    ]
