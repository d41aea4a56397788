"""The other dialect, the other cipher, and TLS: each through a socket."""

from __future__ import annotations

import logging
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from kabao.base.db import Database
from kabao.edges.iso8583.connection import is_local
from kabao.edges.iso8583.host import PosTls
from kabao.edges.iso8583.spec import shipped
from kabao.policy.ops import Policy
from kabao.vault.model import TerminalCipher
from tests.base.web.test_server import Certificates

from . import oracle
from .cmf import send
from .conftest import Pos, hosted
from .till import LostError, Till, xor


async def exchange(pos: Pos, frame: bytes) -> bytes:
    return await send(pos.port, frame)


class Sm4Till(Till):
    """As `Till`, with SM4: a CBC-MAC, and PIN blocks of sixteen bytes in field 57."""

    def signed(self, mti: str, fields: dict[int, Any]) -> bytes:
        block = fields.pop(52, None)
        if block is not None:
            fields[57] = sm4(self.pik, block + bytes(8))
        message = pack_sm4(mti, fields)
        return message + cbc_mac(self.mak, message)


def pack_sm4(mti: str, fields: dict[int, Any]) -> bytes:
    return oracle.encode(shipped("unionpay"), mti, _plain(fields) | {64: bytes(8)})[:-8]


def _plain(fields: dict[int, Any]) -> dict[int, Any]:
    return {n: v[:3] if n == 22 else v for n, v in fields.items()}


def sm4(key: bytes, data: bytes, *, back: bool = False) -> bytes:
    cipher = Cipher(algorithms.SM4(key), modes.ECB())
    return (cipher.decryptor() if back else cipher.encryptor()).update(data)


def cbc_mac(key: bytes, message: bytes) -> bytes:
    chain = bytes(16)
    for at in range(0, len(message), 16):
        chain = sm4(key, xor(chain, message[at : at + 16].ljust(16, b"\0")))
    return chain[:8]


async def test_a_till_with_sm4_signs_in_and_pays(pos: Pos) -> None:
    terminal_no, merchant_no, tmk = await pos.key(pos.world.north, algorithm=TerminalCipher.SM4)
    card = await pos.card(1_000)
    till = Sm4Till(pos.port, terminal_no, merchant_no, tmk)
    fields = till.common("00") | {60: "00000000001"}
    frame = till.framed(oracle.encode(shipped("unionpay"), "0800", fields))[2:]
    read = oracle.decode(shipped("unionpay"), (await exchange(pos, frame))[11:])
    keys = bytes.fromhex(read["62"])
    till.pik, till.mak = sm4(tmk, keys[:16], back=True), sm4(tmk, keys[20:36], back=True)
    assert sm4(till.pik, bytes(16))[:4] == keys[16:20]
    assert sm4(till.mak, bytes(16))[:4] == keys[36:40]
    till.batch = read["60"][2:8]
    mti, sale = till.sale(card, 300, pin="")
    clear = xor(
        bytes.fromhex(f"{len(card.pin):02X}{card.pin}".ljust(16, "F")),
        bytes.fromhex("0000" + card.number[:-1][-12:]),
    )
    message = till.signed(mti, sale | {52: clear})
    answer = await exchange(pos, till.framed(message)[2:])
    assert answer[-8:] == cbc_mac(till.mak, answer[11:-8])
    assert oracle.decode(shipped("unionpay"), answer[11:])["39"] == "00"
    bent = message[:-1] + bytes([message[-1] ^ 1])
    answer = await exchange(pos, till.framed(bent)[2:])
    assert oracle.decode(shipped("unionpay"), answer[11:])["39"] == "A0"


@pytest.mark.row("B-14", "P-24")
async def test_over_tls_a_terminal_needs_a_certificate(db: Database, tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    server, client = certificates.issue("server"), certificates.issue("client")
    tls = PosTls(server.certificate, server.key, certificates.ca)
    async with hosted(db, tmp_path, tls=tls) as pos:
        about = await pos.key(pos.world.north)
        anonymous = ssl.create_default_context(cafile=str(certificates.ca))
        known = ssl.create_default_context(cafile=str(certificates.ca))
        known.load_cert_chain(client.certificate, client.key)
        stranger = pos.raw(*about, anonymous)
        await stranger.connect()
        assert (await stranger.sign_in()).code == "58"
        till = pos.raw(*about, known)
        await till.connect()
        assert (await till.sign_in()).code == "00"
        card = await pos.card(100)
        assert (await till.buy(card, 1)).code == "00"
        plain = pos.raw(*about)
        await plain.connect()
        with pytest.raises((LostError, ConnectionError)):
            await plain.sign_in()


WAIVED = """
[pack]
name = "ours"
title = "Ours"
kind = "house"
amends = "platform"

[[pos.tls.waived_merchants]]
value = ["{}"]
unit = "list"
row = "B-14"
from = 2026-01-01
note = "An old line that nobody else can reach."
"""


def outward() -> str:
    """This machine's own address on its network; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


@pytest.mark.row("B-14")
async def test_without_an_authority_only_waived_stores_sign_in_from_other_machines(
    pos: Pos, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody can show a certificate then, and nobody goes unasked but by policy."""
    north, south = await pos.key(pos.world.north), await pos.key(pos.world.south)
    (tmp_path / "ours.toml").write_text(WAIVED.format(south[1]))
    pos.kabao.policy = Policy.load(pos.at.clock, [tmp_path / "ours.toml"])
    with caplog.at_level(logging.WARNING, "kabao.pos"):
        async with pos.other(outward()) as other:
            codes = []
            for about in (north, south):
                till = pos.raw(*about)
                till.address, till.port = outward(), other.port
                await till.connect()
                codes.append((await till.sign_in()).code)
            assert codes == ["58", "00"]
            assert other.host.desk.meters.faults.of("no_certificate") == 1
    assert "KABAO_TLS_CLIENT_CA is not set" in caplog.text
    local = pos.raw(*north)
    await local.connect()
    assert (await local.sign_in()).code == "00", "a line that never leaves this machine"


@pytest.mark.parametrize(
    ("sockname", "local"),
    [
        (("127.0.0.1", 1), True),
        (("::1", 1, 0, 0), True),
        (("192.0.2.2", 1), False),
        (("0.0.0.0", 1), False),
        (("::", 1, 0, 0), False),
        (None, False),
    ],
)
def test_which_lines_are_local(sockname: object, local: bool) -> None:
    assert is_local(sockname) is local
