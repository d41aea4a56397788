"""The vectors of compliance.md section 5, and what must not verify."""

from __future__ import annotations

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kabao.edges.iso8583.ciphers import (
    Block,
    clear_pin_block,
    mac,
    pin_block,
    read_pin,
)
from kabao.edges.iso8583.spec import MacMethod
from kabao.vault.model import TerminalCipher

TMK = Block(TerminalCipher.TDES, bytes.fromhex("CA5D92598DCA48CE8A4C76361A9269E9"))
MAK = bytes.fromhex("5BB5C72CD00B7338")


def test_v5_session_keys_and_their_check_values() -> None:
    pik = TMK.decrypt(bytes.fromhex("6701EAD6A9AD51E51AA406E2C27FCFA9"))
    assert pik.hex().upper() == "807A23AD32B36D457AE91FDF927570EA"
    assert Block(TerminalCipher.TDES, pik).check_value().hex().upper() == "8D0A74B8"
    mak = TMK.decrypt(bytes.fromhex("B651F9E9BACE9AE1"))
    assert mak == MAK
    assert Block(TerminalCipher.TDES, mak).check_value().hex().upper() == "AB7153CA"


def test_v6_pin_blocks() -> None:
    assert clear_pin_block("123456", "1234567890123456").hex().upper() == "0612713176FEDCBA"
    assert clear_pin_block("123456", "123456789012345678").hex().upper() == "061253DFFEDCBA98"


def test_v7_mac() -> None:
    message = bytes.fromhex("0200") + b"CARDPLATFORM-MAC-TEST"
    assert mac(MacMethod.XOR, Block(TerminalCipher.TDES, MAK), message) == b"470C705A"


def test_v3_sm4() -> None:
    key = bytes.fromhex("0123456789abcdeffedcba9876543210")
    assert Block(TerminalCipher.SM4, key).encrypt(key).hex() == "681edf34d206965e86b3e94f536e4246"


def test_cbc_mac_is_the_last_block_of_cbc() -> None:
    key = Block(TerminalCipher.SM4, secrets.token_bytes(16))
    one, two = secrets.token_bytes(16), secrets.token_bytes(9)
    mixed = bytes(a ^ b for a, b in zip(key.encrypt(one), two + bytes(7), strict=True))
    assert mac(MacMethod.CBC, key, one + two) == key.encrypt(mixed)[:8]


def plain_fold(message: bytes, size: int = 8) -> bytes:
    folded = bytes(size)
    for at in range(0, len(message), size):
        block = message[at : at + size].ljust(size, b"\0")
        folded = bytes(a ^ b for a, b in zip(folded, block, strict=True))
    return folded


@given(message=st.binary(max_size=300))
def test_mf05_as_it_is_written(message: bytes) -> None:
    """Block by block, as a till's maker would write it."""
    key = Block(TerminalCipher.TDES, MAK)
    text = plain_fold(message).hex().upper().encode()
    half = bytes(a ^ b for a, b in zip(key.encrypt(text[:8]), text[8:], strict=True))
    assert mac(MacMethod.XOR, key, message) == key.encrypt(half).hex().upper()[:8].encode()


@pytest.mark.parametrize("algorithm", TerminalCipher)
@given(
    pin=st.text("0123456789", min_size=4, max_size=12),
    pan=st.text("0123456789", min_size=13, max_size=19),
)
def test_a_pin_comes_back_with_its_card_and_key_only(
    algorithm: TerminalCipher, pin: str, pan: str
) -> None:
    key, other = (Block(algorithm, secrets.token_bytes(16)) for _ in range(2))
    sealed = pin_block(key, pin, pan)
    assert read_pin(key, sealed, pan) == pin
    assert read_pin(other, sealed, pan) != pin
    wrong_card = f"{(int(pan) + 10) % 10 ** len(pan):0{len(pan)}d}"
    assert read_pin(key, sealed, wrong_card) != pin


@pytest.mark.parametrize("size", [0, 7, 9, 15, 17])
def test_a_block_of_the_wrong_size_is_no_pin(size: int) -> None:
    key = Block(TerminalCipher.TDES, secrets.token_bytes(16))
    assert read_pin(key, bytes(size), "8800101234567890123") is None


@given(block=st.binary(min_size=8, max_size=8), pan=st.text("0123456789", max_size=19))
def test_any_block_is_a_pin_or_none(block: bytes, pan: str) -> None:
    pin = read_pin(Block(TerminalCipher.TDES, MAK), block, pan)
    assert pin is None or (pin.isdecimal() and 4 <= len(pin) <= 12)


@pytest.mark.parametrize("size", [0, 7, 15, 17, 32])
def test_a_key_of_the_wrong_length_is_refused(size: int) -> None:
    for algorithm in TerminalCipher:
        with pytest.raises(ValueError):  # noqa: PT011 - the length
            Block(algorithm, bytes(size))
