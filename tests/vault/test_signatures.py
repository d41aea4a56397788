"""SM2: the standard's own vectors, three implementations against each other, and refusals."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from hypothesis import given
from hypothesis import strategies as st
from tongsuopy.crypto import hashes
from tongsuopy.crypto.asymciphers import ec
from tongsuopy.crypto.exceptions import InvalidSignature

from kabao import sm2
from kabao.vault import openssl, signatures
from kabao.vault.model import KEY_UNKNOWN
from kabao.vault.ops import FileKeys, Vault, verify_signature

from . import make

PRIVATE = bytes.fromhex("3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8")
NONCE = 0x59276E27D506861A16680F3AD9C02DCCEF3CC1FA3CDBE4CE6D54B80DEAC1BC21
TEXT = b"message digest"
R = "F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3"
S = "B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA"
PUBLIC = sm2.public_of(PRIVATE)
SIGNATURE = bytes.fromhex(R + S)
SM3 = ec.ECDSA(hashes.SM3())

Check = Callable[[bytes, bytes, bytes], bool]
CHECKS: list[Check] = [sm2.verify, signatures.verify]


def number(value: int) -> bytes:
    return value.to_bytes(32, "big")


def tongsuo_signs(private: bytes, message: bytes) -> bytes:
    key = ec.derive_private_key(int.from_bytes(private, "big"), ec.SM2())
    r, s = decode_dss_signature(key.sign(message, SM3))
    return number(r) + number(s)


def tongsuo_verifies(public: bytes, message: bytes, signature: bytes) -> bool:
    x, y = int.from_bytes(public[:32], "big"), int.from_bytes(public[32:], "big")
    der = encode_dss_signature(
        int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    )
    try:
        ec.EllipticCurvePublicNumbers(x, y, ec.SM2()).public_key().verify(der, message, SM3)
    except InvalidSignature:
        return False
    return True


def test_v4() -> None:
    assert PUBLIC.hex().upper() == (
        "09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020"
        "CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13"
    )
    assert sm2.sign(PRIVATE, PUBLIC, TEXT, nonce=NONCE) == SIGNATURE
    assert all(check(PUBLIC, TEXT, SIGNATURE) for check in CHECKS)


def test_the_machines_openssl_is_used_where_it_can() -> None:
    """Debian's has SM2. On a build without it everything else here still holds."""
    library = openssl.load()
    if library is not None:
        assert library.verify(PUBLIC, TEXT, SIGNATURE)


@given(st.binary(max_size=300))
def test_three_implementations_agree(message: bytes) -> None:
    private = sm2.new_private()
    public = sm2.public_of(private)
    signer = signatures.Signer(private)
    made = [
        sm2.sign(private, public, message),
        signer.sign(message),
        tongsuo_signs(private, message),
    ]
    assert signer.public == public
    for signature in made:
        assert tongsuo_verifies(public, message, signature)
        assert all(check(public, message, signature) for check in CHECKS)
        assert not any(check(public, message + b"\0", signature) for check in CHECKS)


@pytest.mark.parametrize("check", CHECKS)
def test_no_flipped_bit_is_accepted(check: Check) -> None:
    for part in (PUBLIC, TEXT, SIGNATURE):
        for _ in range(40):
            place = secrets.randbelow(8 * len(part))
            flipped = bytearray(part)
            flipped[place // 8] ^= 1 << place % 8
            given_ = [
                bytes(flipped) if each is part else each for each in (PUBLIC, TEXT, SIGNATURE)
            ]
            assert not check(given_[0], given_[1], given_[2])


N_BYTES = number(sm2.N)
MALFORMED = {
    "r is 0": bytes(32) + SIGNATURE[32:],
    "s is 0": SIGNATURE[:32] + bytes(32),
    "r is n": N_BYTES + SIGNATURE[32:],
    "s is n": SIGNATURE[:32] + N_BYTES,
    "s + n": SIGNATURE[:32] + b"\xff" * 32,
    "r + s is n": SIGNATURE[:32] + number(sm2.N - int(R, 16)),
    "short": SIGNATURE[:-1],
    "long": SIGNATURE + b"\0",
    "empty": b"",
}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_signatures_are_refused(check: Check, name: str) -> None:
    assert not check(PUBLIC, TEXT, MALFORMED[name])


NO_KEYS = {
    "off the curve": number(1) + number(1),
    "infinity": bytes(64),
    "x is p or more": number(sm2.P + 1) + PUBLIC[32:],
    "short": PUBLIC[:-1],
    "with a prefix": b"\x04" + PUBLIC,
    "empty": b"",
}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", NO_KEYS)
def test_what_is_no_point_is_no_key(check: Check, name: str) -> None:
    assert sm2.point_of(NO_KEYS[name]) is None
    assert not check(NO_KEYS[name], TEXT, SIGNATURE)


def test_a_private_key_has_its_range() -> None:
    assert sm2.is_private(number(1))
    assert sm2.is_private(number(sm2.N - 2))
    for bad in (number(0), number(sm2.N - 1), number(sm2.N), number(1)[1:]):
        with pytest.raises(ValueError, match="SM2"):
            sm2.public_of(bad)


def test_the_vault_signs_and_anybody_checks(tmp_path: Path) -> None:
    vault = make.vault(tmp_path)
    first = vault.sign(b"a")
    assert first.key == 1
    assert verify_signature(vault.public_key(), b"a", first.value)
    assert not verify_signature(vault.public_key(), b"b", first.value)


def test_a_new_version_signs_and_the_old_one_still_verifies(tmp_path: Path) -> None:
    vault = make.vault(tmp_path)
    old = vault.sign(b"a")
    vault.store.add(vault.keys[-1].kind)
    vault.reload()
    new = vault.sign(b"a")
    assert (old.key, new.key) == (1, 2)
    assert verify_signature(vault.public_key(1), b"a", old.value)
    assert verify_signature(vault.public_key(2), b"a", new.value)
    assert not verify_signature(vault.public_key(2), b"a", old.value)
    with pytest.raises(Exception, match="version 3") as refused:
        vault.public_key(3)
    assert refused.value.code is KEY_UNKNOWN


def test_nothing_shows_the_signing_key(tmp_path: Path) -> None:
    keys = FileKeys(tmp_path / "keys.json", make.clock(), create_if_missing=True)
    shown = repr(keys) + repr(signatures.Signer(PRIVATE)) + repr(Vault(keys, make.clock()))
    assert PRIVATE.hex() not in shown.lower()
    assert str(int.from_bytes(PRIVATE, "big")) not in shown
