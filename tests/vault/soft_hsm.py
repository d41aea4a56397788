"""A small HSM in software: a process that holds keys and computes with them over a Unix socket.

It shares no code with `kabao.vault`, neither SM2 (Tongsuo's here) nor how a data key is wrapped
(AES key wrap with padding, RFC 5649, where the key file uses GCM): the port is all that the two
sides have in common. Run as `python soft_hsm.py SOCKET`; it says `ready` and ends when its standard
input does.

A request is a length of four bytes and a MessagePack list `[verb, …]`; so is the answer,
`["ok", value]` or `[why]`.
"""

import secrets
import socket
import sys
import threading
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.keywrap import (
    InvalidUnwrap,
    aes_key_unwrap_with_padding,
    aes_key_wrap_with_padding,
)
from tongsuopy.crypto import hashes as tongsuo
from tongsuopy.crypto.asymciphers import ec

SIZES = {"sm4": 16, "aes256": 32, "hmac-sm3": 32, "sm2": 32}
HELD = {
    "kek": ["sm4", "aes256"],
    "card_value": ["sm4"],
    "blind_index": ["hmac-sm3"],
    "mac": ["hmac-sm3"],
    "pin": ["hmac-sm3"],
    "signature": ["sm2"],
}


class RefusedError(Exception):
    """Why an operation was not done."""


class Hsm:
    def __init__(self) -> None:
        self._keys: dict[tuple[str, int, str], bytes | None] = {}
        self._born: dict[tuple[str, int, str], int] = {}
        self._clock_us = 1_795_334_400_000_000
        for kind in HELD:
            self._generate(kind, 1)

    def _generate(self, kind: str, version: int) -> None:
        for algorithm in HELD[kind]:
            name = (kind, version, algorithm)
            self._keys[name] = secrets.token_bytes(SIZES[algorithm])
            self._born[name] = self._clock_us

    def _key(self, kind: str, version: int, algorithm: str) -> bytes:
        key = self._keys.get((kind, version, algorithm))
        if key is None:
            raise RefusedError("unknown")
        return key

    def infos(self) -> list[Any]:
        listed = []
        for name, key in self._keys.items():
            check = ""
            if key is not None:
                digest = hashes.Hash(hashes.SM3())
                digest.update(b"check" + key)
                check = digest.finalize()[:3].hex()
            listed.append([*name, self._born[name], check, None if key else self._clock_us])
        return listed

    def wrap(self, version: int, suite: str, data_keys: list[bytes]) -> list[bytes]:
        if suite == "aes256":
            key = self._key("kek", version, "aes256")
            return [aes_key_wrap_with_padding(key, data_key) for data_key in data_keys]
        key = self._key("kek", version, "sm4")
        wrapped = []
        for data_key in data_keys:
            nonce = secrets.token_bytes(12)
            gcm = Cipher(algorithms.SM4(key), modes.GCM(nonce)).encryptor()
            wrapped.append(nonce + gcm.update(data_key) + gcm.finalize() + gcm.tag)
        return wrapped

    def unwrap(self, version: int, suite: str, wrapped: list[bytes]) -> list[bytes]:
        try:
            if suite == "aes256":
                key = self._key("kek", version, "aes256")
                return [aes_key_unwrap_with_padding(key, one) for one in wrapped]
            key = self._key("kek", version, "sm4")
            data_keys = []
            for one in wrapped:
                gcm = Cipher(algorithms.SM4(key), modes.GCM(one[:12], one[-16:])).decryptor()
                data_keys.append(gcm.update(one[12:-16]) + gcm.finalize())
        except (InvalidUnwrap, InvalidTag, ValueError):
            raise RefusedError("broken") from None
        return data_keys

    def macs(self, kind: str, messages: list[bytes]) -> list[bytes]:
        made = []
        for message in messages:
            keyed = hmac.HMAC(self._key(kind, 1, "hmac-sm3"), hashes.SM3())
            keyed.update(message)
            made.append(keyed.finalize())
        return made

    def card_mac(self, version: int, card: bytes, message: bytes) -> bytes:
        master = algorithms.SM4(self._key("card_value", version, "sm4"))
        own = Cipher(master, modes.ECB()).encryptor().update(card)
        cmac = CMAC(algorithms.SM4(own))
        cmac.update(message)
        return cmac.finalize()

    def _pair(self, version: int) -> ec.EllipticCurvePrivateKey:
        number = int.from_bytes(self._key("signature", version, "sm2"), "big") >> 1
        return ec.derive_private_key(number, ec.SM2())

    def sign(self, version: int, message: bytes) -> bytes:
        r, s = decode_dss_signature(self._pair(version).sign(message, ec.ECDSA(tongsuo.SM3())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def public_key(self, version: int) -> bytes:
        point = self._pair(version).public_key().public_numbers()
        return point.x.to_bytes(32, "big") + point.y.to_bytes(32, "big")

    def add(self, kind: str) -> int:
        version = 1 + max(v for k, v, _ in self._keys if k == kind)
        self._generate(kind, version)
        return version

    def retire(self, kind: str, version: int) -> None:
        for algorithm in HELD[kind]:
            self._key(kind, version, algorithm)
            self._keys[kind, version, algorithm] = None

    def autopsy(self) -> list[bytes]:
        """No HSM does this: for the test that looks for keys in what was sent."""
        return [key for key in self._keys.values() if key is not None]


def receive(peer: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count:
        more = peer.recv(count - len(got))
        if not more:
            raise EOFError
        got += more
    return got


def serve(hsm: Hsm, lock: threading.Lock, peer: socket.socket) -> None:
    try:
        while True:
            verb, *given = msgspec.msgpack.decode(
                receive(peer, int.from_bytes(receive(peer, 4), "big"))
            )
            try:
                with lock:
                    answer = ["ok", getattr(hsm, verb)(*given)]
            except RefusedError as refused:
                answer = [str(refused)]
            text = msgspec.msgpack.encode(answer)
            peer.sendall(len(text).to_bytes(4, "big") + text)
    except (EOFError, OSError):
        peer.close()


def main() -> None:
    hsm, lock = Hsm(), threading.Lock()
    door = socket.socket(socket.AF_UNIX)
    door.bind(sys.argv[1])
    door.listen()
    sys.stdout.write("ready\n")
    sys.stdout.flush()

    def accept() -> None:
        while True:
            peer, _ = door.accept()
            threading.Thread(target=serve, args=(hsm, lock, peer), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
