"""The tills' own reading of the standard, by the vectors of compliance.md (V-5 to V-7)."""

from __future__ import annotations

import pytest

from kabao_sandbox.tills import wire
from kabao_sandbox.tills.wire import BrokenError, Message

TMK = bytes.fromhex("CA5D92598DCA48CE8A4C76361A9269E9")
PIN_KEY = bytes.fromhex("807A23AD32B36D457AE91FDF927570EA")
MAC_KEY = bytes.fromhex("5BB5C72CD00B7338")
SENT = bytes.fromhex(
    "6701EAD6A9AD51E51AA406E2C27FCFA98D0A74B8B651F9E9BACE9AE10000000000000000AB7153CA"
)


def test_session_keys_are_opened_and_checked() -> None:
    assert wire.session_keys(TMK, SENT) == (PIN_KEY, MAC_KEY)
    for at in (0, 16, 20, 36):
        wrong = SENT[:at] + bytes([SENT[at] ^ 1]) + SENT[at + 1 :]
        with pytest.raises(BrokenError):
            wire.session_keys(TMK, wrong)


@pytest.mark.parametrize(
    ("number", "block"),
    [("1234567890123456", "0612713176FEDCBA"), ("123456789012345678", "061253DFFEDCBA98")],
)
def test_pin_block(number: str, block: str) -> None:
    assert wire.decrypt(PIN_KEY, wire.pin_block(PIN_KEY, "123456", number)).hex().upper() == block


def test_mac() -> None:
    assert wire.mac(MAC_KEY, bytes.fromhex("0200") + b"CARDPLATFORM-MAC-TEST") == b"470C705A"


def test_a_message_is_read_as_it_was_written() -> None:
    message = Message("0200", {2: "123", 4: "000000000100", 41: "00000001", 62: b"\x00\xff"})
    data = wire.pack(message)
    assert wire.unpack(data) == message
    for broken in (data[:-1], data + b"\0", data[:9]):
        with pytest.raises(BrokenError):
            wire.unpack(broken)
