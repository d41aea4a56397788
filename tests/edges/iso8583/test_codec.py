"""The codec against pyiso8583, and against everything that is not a message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kabao.edges.iso8583.codec import PLANS_MAX, Codec
from kabao.edges.iso8583.model import Fields, FormatError
from kabao.edges.iso8583.spec import _FOLDER, SHIPPED, parse, shipped

from . import oracle

CODECS = {name: Codec(shipped(name)) for name in SHIPPED}
UNIONPAY = CODECS["unionpay"]

SALE: Fields = {
    3: "000000",
    4: "000000001234",
    11: "000123",
    22: "021",
    25: "00",
    35: "8800101234567890123D49127210112345678",
    41: "00000001",
    42: "000000000000001",
    49: "156",
    60: "22000001000",
}


@pytest.mark.parametrize("name", SHIPPED)
@given(data=st.data())
def test_bytes_are_those_of_the_oracle(name: str, data: st.DataObject) -> None:
    codec = CODECS[name]
    fields = data.draw(oracle.messages(codec.dialect))
    mti = data.draw(st.text("0123456789", min_size=4, max_size=4))
    raw = codec.encode(mti, fields)
    assert raw == oracle.encode(codec.dialect, mti, fields)
    assert codec.decode(raw).fields == fields
    read = oracle.decode(codec.dialect, raw)
    assert {n: oracle.shown(v) for n, v in fields.items()} == {
        int(n): v for n, v in read.items() if n.isdecimal() and n != "1"
    }


@pytest.mark.parametrize("name", SHIPPED)
@given(data=st.data())
def test_what_is_decoded_is_encoded_to_the_same_bytes(name: str, data: st.DataObject) -> None:
    """Nothing is read leniently: there is one way to write a message."""
    codec = CODECS[name]
    raw = bytearray(codec.encode("0200", data.draw(oracle.messages(codec.dialect))))
    for at, byte in data.draw(
        st.lists(st.tuples(st.integers(0, max(0, len(raw) - 1)), st.integers(0, 255)), max_size=3)
    ):
        raw[at] = byte
    try:
        decoded = codec.decode(bytes(raw))
    except FormatError:
        return
    assert codec.encode(decoded.mti, decoded.fields) == bytes(raw)


@pytest.mark.parametrize("name", SHIPPED)
@given(raw=st.binary(max_size=200))
def test_noise_is_a_format_error_and_nothing_else(name: str, raw: bytes) -> None:
    with pytest.raises(FormatError):
        CODECS[name].decode(b"\x02\x00" + raw + b"\xff")


def test_the_mac_covers_everything_before_it() -> None:
    announced = UNIONPAY.encode("0200", SALE, mac=True)
    raw = announced + b"12345678"
    decoded = UNIONPAY.decode(raw)
    assert decoded.mac_at == len(announced)
    assert decoded.fields[64] == b"12345678"
    assert UNIONPAY.decode(UNIONPAY.encode("0200", SALE)).mac_at is None


def spoilt() -> dict[str, bytes]:
    raw = UNIONPAY.encode("0200", SALE)
    bits = int.from_bytes(raw[2:10], "big")

    def with_bit(number: int) -> bytes:
        return raw[:2] + (bits | 1 << (64 - number)).to_bytes(8, "big") + raw[10:]

    return {
        "nothing": b"",
        "half a type": b"\x02",
        "a type of letters": b"\x0a\x00" + raw[2:],
        "no bitmap": raw[:2],
        "half a bitmap": raw[:6],
        "a second bitmap": with_bit(1),
        "a field nobody knows": with_bit(5),
        "a field that is not there": with_bit(2),
        "cut off": raw[:-1],
        "one byte more": raw + b"\0",
        "letters in an amount": raw.replace(bytes.fromhex("000000001234"), b"\0\0\0\0\x12\x3a"),
        "a length of letters": raw.replace(b"\x37\x88", b"\x3a\x88", 1),
        "a length over the field's": raw.replace(b"\x37\x88", b"\x38\x88", 1),
        "a pad that is not nought": raw.replace(b"\x02\x10\x00", b"\x02\x11\x00"),
        "a control character": raw.replace(b"00000001", b"0000\x00001"),
        "not ASCII": raw.replace(b"00000001", b"0000\xe4\xb8\xad1"),
    }


@pytest.mark.parametrize("wrong", spoilt())
def test_what_is_written_wrongly_is_a_format_error(wrong: str) -> None:
    with pytest.raises(FormatError):
        UNIONPAY.decode(spoilt()[wrong])


def test_the_type_is_told_where_it_could_be_read() -> None:
    with pytest.raises(FormatError) as told:
        UNIONPAY.decode(UNIONPAY.encode("0200", SALE) + b"\0")
    assert told.value.mti == "0200"


def test_bitmaps_of_an_attacker_are_not_remembered_for_ever() -> None:
    codec = Codec(shipped("jpos_cmf"))
    numbers = sorted(n for n in codec.dialect.fields if codec.dialect.fields[n].length)
    for n in range(2 * PLANS_MAX):
        codec.decode(codec.encode("2200", {m: _empty(codec, m) for m in _some(numbers, n)}))
    assert len(codec._plans) == PLANS_MAX


def _empty(codec: Codec, number: int) -> str | bytes:
    return b"" if codec.dialect.fields[number].kind == "binary" else ""


def _some(numbers: list[int], n: int) -> list[int]:
    return [number for bit, number in enumerate(numbers) if n >> bit & 1]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('ok = "00"\n', ""),
        ("[fields]\n2 =", "[fields]\n1 ="),
        ("amount = [4, 0, 12]", "amount = [5, 0, 12]"),
        ('when = { function = "002" }', 'when = { colour = "002" }'),
        ('3 = { kind = "bcd", size = 6 }', '3 = { kind = "bcd", size = 120, length = 1 }'),
        ('kind = "bcd", size = 19', 'kind = "roman", size = 19'),
        ("secondary = false", "tertiary = false"),
    ],
)
def test_a_dialect_that_contradicts_itself_is_refused(old: str, new: str) -> None:
    text = (_FOLDER / "unionpay.toml").read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(ValueError):  # noqa: PT011 - any of them
        parse(text.replace(old, new, 1))
