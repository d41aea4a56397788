"""Fuzz a POS host: `python -m kabao.app.fuzz_pos HOST:PORT [FRAMES] [SEED]`.

Sends frames that are nearly right: lengths, bitmaps, digits, TPDU and whole fields bent,
cut, doubled and mixed, many in flight, on connections that are made anew when the host
hangs up. At the end it says what came back. Whether the host still sells meanwhile is for
whoever runs this to look at. No frame can do anything: none carries a right MAC.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator

import msgspec

from kabao.edges.iso8583.codec import Codec
from kabao.edges.iso8583.model import Fields
from kabao.edges.iso8583.spec import SHIPPED, Dialect, Kind, shipped
from kabao.simulation.chance import Chance

FRAMES = 1_000_000
CONNECTIONS = 8
AT_ONCE = 32
WAIT_S = 0.5


class Outcome(msgspec.Struct):
    """What came of it."""

    sent: int = 0
    answered: int = 0
    hung_up: int = 0
    waiting: int = 0
    """Connections on which the host waited for the rest of a frame, and we hung up."""


def frames(seed: str) -> Iterator[bytes]:
    """Frames with their length, for ever; a seed repeats them exactly."""
    chance = Chance(seed)
    codecs = [Codec(shipped(name)) for name in SHIPPED]
    while True:
        codec = chance.pick(codecs)
        head = bytes.fromhex("6000030000602200000000") if codec.dialect.frame.tpdu else b""
        body = bytearray(head + codec.encode(_mti(codec.dialect, chance), _fields(codec, chance)))
        _bend(body, chance)
        size = (
            len(body) if chance.maybe(0.98) else chance.pick((0, 1, len(body) // 2, 5_000, 65_535))
        )
        yield size.to_bytes(2, "big") + bytes(body)


def _mti(dialect: Dialect, chance: Chance) -> str:
    return chance.pick([shape.mti for shape in dialect.messages])


def _fields(codec: Codec, chance: Chance) -> Fields:
    fields: Fields = {}
    for number, field in codec.dialect.fields.items():
        if not chance.maybe(0.35):
            continue
        size = field.size if not field.length else int(chance.between(0, min(field.size, 40)))
        raw = bytes(int(chance.between(0, 256)) for _ in range(size))
        match field.kind:
            case Kind.BCD | Kind.TRACK:
                fields[number] = "".join(str(byte % 10) for byte in raw)
            case Kind.ASCII | Kind.TEXT:
                fields[number] = "".join(chr(0x20 + byte % 0x5F) for byte in raw)
            case Kind.BINARY:
                fields[number] = raw
    return fields


def _bend(body: bytearray, chance: Chance) -> None:
    for _ in range(int(chance.between(0, 4))):
        if not body:
            return
        at = int(chance.between(0, len(body)))
        match int(chance.between(0, 5)):
            case 0:
                body[at] ^= 1 << int(chance.between(0, 8))
            case 1:
                body[at] = int(chance.between(0, 256))
            case 2:
                del body[at:]
            case 3:
                body[at:at] = body[at : at + int(chance.between(1, 30))]
            case _:
                body += bytes(int(chance.between(1, 20)))


async def fuzz(host: str, port: int, count: int, seed: str) -> Outcome:
    """Send so many frames. Raises OSError when the host cannot be reached any more."""
    outcome = Outcome()
    each = -(-count // CONNECTIONS)
    await asyncio.gather(
        *(_one(host, port, each, f"{seed}/{n}", outcome) for n in range(CONNECTIONS))
    )
    return outcome


async def _one(host: str, port: int, count: int, seed: str, outcome: Outcome) -> None:
    source = frames(seed)
    left = count
    while left > 0:
        reader, writer = await asyncio.open_connection(host, port)
        try:
            while left > 0:
                burst = [next(source) for _ in range(min(AT_ONCE, left))]
                left -= len(burst)
                outcome.sent += len(burst)
                writer.write(b"".join(burst))
                await writer.drain()
                if not await _listen(reader, len(burst), outcome):
                    break
        except ConnectionError:
            outcome.hung_up += 1
        finally:
            writer.close()


async def _listen(reader: asyncio.StreamReader, burst: int, outcome: Outcome) -> bool:
    """Hear the answers to a burst; False when the host has hung up, or waits for more."""
    for _ in range(burst):
        try:
            async with asyncio.timeout(WAIT_S):
                size = int.from_bytes(await reader.readexactly(2), "big")
                await reader.readexactly(size)
        except asyncio.IncompleteReadError:
            outcome.hung_up += 1
            return False
        except TimeoutError:
            outcome.waiting += 1
            return False
        outcome.answered += 1
    return True


def main(arguments: list[str]) -> int:
    """The command."""
    if not arguments:
        print(__doc__)
        return 2
    host, _, port = arguments[0].rpartition(":")
    count = int(arguments[1]) if len(arguments) > 1 else FRAMES
    seed = arguments[2] if len(arguments) > 2 else "1"
    outcome = asyncio.run(fuzz(host, int(port), count, seed))
    print(msgspec.json.encode(outcome).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
