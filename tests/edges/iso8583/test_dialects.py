"""The other dialect, the other cipher, and TLS: each through a socket."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from kabao.base.db import Database
from kabao.edges.iso8583.host import PosTls
from kabao.edges.iso8583.spec import shipped
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
