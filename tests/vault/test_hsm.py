"""The port is enough for an HSM: the vault over a separate process that keeps its keys."""

import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kabao.base.errors import UNAVAILABLE, KabaoError
from kabao.vault.model import (
    KEY_UNKNOWN,
    SEALED_BROKEN,
    Algorithm,
    KeyInfo,
    KeyKind,
    Suite,
    unpack,
)
from kabao.vault.ops import Vault, verify_signature
from kabao.vault.ports import KeyStore

from . import make
from .soft_hsm import receive

CARD = "0190a5b4c3d27e8f90a1b2c3d4e5f607"


class HsmKeys:
    """The client's half: `KeyStore` over the socket. Remembers all that came through."""

    def __init__(self, path: str) -> None:
        self._peer = socket.socket(socket.AF_UNIX)
        self._peer.settimeout(5)
        self._peer.connect(path)
        self.received: list[bytes] = []

    def close(self) -> None:
        self._peer.close()

    def call(self, verb: str, *given: object) -> Any:
        text = msgspec.msgpack.encode([verb, *given])
        try:
            self._peer.sendall(len(text).to_bytes(4, "big") + text)
            answer = receive(self._peer, int.from_bytes(receive(self._peer, 4), "big"))
        except (OSError, EOFError):
            raise UNAVAILABLE.error("The HSM does not answer.") from None
        if verb != "autopsy":
            self.received.append(answer)
        why, *value = msgspec.msgpack.decode(answer)
        if why == "unknown":
            raise KEY_UNKNOWN.error()
        if why == "broken":
            raise SEALED_BROKEN.error()
        return value[0]

    def infos(self) -> tuple[KeyInfo, ...]:
        return tuple(
            KeyInfo(KeyKind(kind), version, Algorithm(algorithm), *rest)
            for kind, version, algorithm, *rest in self.call("infos")
        )

    def wrap(self, version: int, suite: Suite, data_keys: Sequence[bytes]) -> list[bytes]:
        return list(self.call("wrap", version, suite, list(data_keys)))

    def unwrap(self, version: int, suite: Suite, wrapped: Sequence[bytes]) -> list[bytes]:
        return list(self.call("unwrap", version, suite, list(wrapped)))

    def macs(self, kind: KeyKind, messages: Sequence[bytes]) -> list[bytes]:
        return list(self.call("macs", kind, list(messages)))

    def card_mac(self, version: int, card: bytes, message: bytes) -> bytes:
        return bytes(self.call("card_mac", version, card, message))

    def sign(self, version: int, message: bytes) -> bytes:
        return bytes(self.call("sign", version, message))

    def public_key(self, version: int) -> bytes:
        return bytes(self.call("public_key", version))

    def add(self, kind: KeyKind) -> int:
        return int(self.call("add", kind))

    def retire(self, kind: KeyKind, version: int) -> None:
        self.call("retire", kind, version)


@pytest.fixture
def hsm() -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """A fresh HSM: its socket and its process."""
    with tempfile.TemporaryDirectory(prefix="hsm") as folder:
        path = f"{folder}/socket"
        program = Path(__file__).with_name("soft_hsm.py")
        process = subprocess.Popen(
            [sys.executable, str(program), path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield path, process
            process.kill()


@pytest.fixture
def store(hsm: tuple[str, Any]) -> Iterator[HsmKeys]:
    store = HsmKeys(hsm[0])
    yield store
    store.close()


@pytest.mark.parametrize("suite", list(Suite))
def test_the_vault_works_over_an_hsm(store: HsmKeys, suite: Suite) -> None:
    port: KeyStore = store
    vault = Vault(port, make.clock(), suite=suite)
    sealed = vault.encrypt("t.t", "c", CARD, b"plain")
    assert vault.decrypt("t.t", "c", CARD, sealed) == b"plain"
    with pytest.raises(KabaoError) as refused:
        vault.decrypt("t.t", "c", CARD, bytes([*sealed[:10], sealed[10] ^ 1, *sealed[11:]]))
    assert refused.value.code is SEALED_BROKEN

    index = vault.blind_index("phone", "138 0013 8000")
    assert vault.blind_indexes("phone", ["13800138000"]) == [index]
    mac = vault.pin_mac("123456", b"saltsalt")
    assert vault.pin_matches("123456", b"saltsalt", mac)
    assert not vault.pin_matches("123457", b"saltsalt", mac)
    value = vault.card_value(CARD, 1, "6212", digits=6)
    assert vault.card_value_matches(value, CARD, 1, "6212", digits=6)
    assert not vault.card_value_matches(value, CARD, 2, "6212", digits=6)


def test_an_hsm_rotates(store: HsmKeys, hsm: tuple[str, Any]) -> None:
    vault = Vault(store, make.clock())
    other = Vault(HsmKeys(hsm[0]), make.clock())
    sealed = vault.encrypt("t.t", "c", CARD, b"plain")
    assert other.store.add(KeyKind.KEK) == 2
    other.reload()
    moved = other.rewrap(sealed)
    assert unpack(moved).kek == 2
    other.store.retire(KeyKind.KEK, 1)
    assert vault.decrypt("t.t", "c", CARD, moved) == b"plain"
    with pytest.raises(KabaoError) as refused:
        vault.decrypt("t.t", "c", CARD, sealed)
    assert refused.value.code is KEY_UNKNOWN
    other.store.close()  # type: ignore[attr-defined]  # the port needs no close


def test_no_key_leaves_the_hsm(store: HsmKeys) -> None:
    vault = Vault(store, make.clock())
    for suite in Suite:
        writer = Vault(store, make.clock(), suite=suite)
        records = [(secrets.token_hex(16), b"plain") for _ in range(50)]
        sealed = writer.encrypt_many("t.t", "c", records)
        store.add(KeyKind.KEK)
        vault.reload()
        for (ident, plain), one in zip(records, sealed, strict=True):
            assert vault.decrypt("t.t", "c", ident, vault.rewrap(one)) == plain
    vault.pin_mac("123456", b"saltsalt")
    vault.sign(b"text")
    vault.card_value(CARD, 1, "6212", digits=6)
    keys = store.call("autopsy")
    assert len(keys) == 11, "three KEKs of two kinds, three hashes, one master, one signer"
    assert not [key for key in keys if any(key in answer for answer in store.received)]


def test_many_records_cost_one_round_trip(store: HsmKeys) -> None:
    vault = Vault(store, make.clock())
    before = len(store.received)
    vault.encrypt_many("t.t", "c", [(secrets.token_hex(16), b"plain") for _ in range(500)])
    vault.blind_indexes("phone", [str(number) for number in range(500)])
    assert len(store.received) == before + 2


def test_an_hsm_that_is_gone_is_unavailable(store: HsmKeys, hsm: tuple[str, Any]) -> None:
    vault = Vault(store, make.clock())
    hsm[1].kill()
    hsm[1].wait()
    for call in (
        lambda: vault.encrypt("t.t", "c", CARD, b"plain"),
        lambda: vault.blind_index("phone", "13800138000"),
        lambda: vault.pin_matches("123456", b"saltsalt", bytes(16)),
        lambda: vault.card_value_matches("123", CARD, 1, "6212", digits=3),
    ):
        with pytest.raises(KabaoError) as refused:
            call()
        assert refused.value.code is UNAVAILABLE


def test_the_hsm_signs(hsm: tuple[str, "subprocess.Popen[str]"]) -> None:
    store = HsmKeys(hsm[0])
    vault = Vault(store, make.clock())
    signed = vault.sign(b"a head")
    assert verify_signature(vault.public_key(), b"a head", signed.value)
    assert not verify_signature(vault.public_key(), b"another", signed.value)
    store.close()
