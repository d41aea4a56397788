import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kabao.base.errors import KabaoError
from kabao.vault.model import (
    RewrapTarget,
    Suite,
    decimalise,
    frame,
    kek_bytes,
    kek_of_head,
    normalise,
    pack,
    place,
    unpack,
)

parts = st.lists(st.binary(max_size=8), max_size=5)


@given(parts, parts)
def test_frames_are_equal_only_for_equal_parts(one: list[bytes], other: list[bytes]) -> None:
    assert (frame(*one) == frame(*other)) == (one == other)


@given(parts, parts)
def test_no_frame_begins_another_domain(one: list[bytes], other: list[bytes]) -> None:
    """A purpose in front cannot be mistaken for a longer purpose and fewer parts."""
    joined = frame(*one) + frame(*other)
    assert joined == frame(*one, *other)


@given(
    st.sampled_from(Suite),
    st.integers(1, 0xFFFF),
    st.binary(max_size=255),
    st.binary(min_size=16, max_size=64),
)
def test_a_packed_value_comes_apart_again(
    suite: Suite, kek: int, wrapped: bytes, body: bytes
) -> None:
    sealed = pack(suite, kek, wrapped, body)
    parts = unpack(sealed)
    assert (parts.suite, parts.kek, parts.wrapped, parts.body) == (suite, kek, wrapped, body)
    assert kek_of_head(sealed[:4]) == kek
    assert sealed[2:4] == kek_bytes(kek), "the rotation finds the version here"


@given(st.binary(max_size=80))
def test_any_bytes_come_apart_or_are_refused(noise: bytes) -> None:
    with contextlib.suppress(KabaoError):
        parts = unpack(noise)
        assert pack(parts.suite, parts.kek, parts.wrapped, parts.body) == noise


def test_every_place_reads_differently() -> None:
    places = [
        place(suite, table, column, ident)
        for suite in Suite
        for table, column in (("a.b", "c"), ("a.bc", ""), ("a", "b.c"))
        for ident in ("1", "1:2", "c:1")
    ]
    assert len(set(places)) == len(places)
    with pytest.raises(AssertionError):
        place(Suite.SM4_GCM, "a:b", "c", "1")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("6212 3456 7890 1234 567", "6212345678901234567"),
        ("6212-3456-7890-1234-567", "6212345678901234567"),
        ("６２１２３４", "621234"),
        ("\t138\u00a0001\u3000380–0\u200b0\n", "13800138000"),
        ("11010519491231002x", "11010519491231002X"),
        ("张 三", "张三"),
        ("Someone@Example.com", "SOMEONE@EXAMPLE.COM"),
    ],
)
def test_normalise(written: str, meant: str) -> None:
    assert normalise(written) == meant


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(st.binary(min_size=16, max_size=16), st.integers(1, 12))
def test_decimal_digits(mac: bytes, digits: int) -> None:
    value = decimalise(mac, digits)
    assert len(value) == digits
    assert value.isdigit()
    assert int(value) == int.from_bytes(mac, "big") % 10**digits


@pytest.mark.parametrize("name", ["Card", "card; drop table card", 'card"', "", "1card"])
def test_a_target_takes_plain_names_only(name: str) -> None:
    with pytest.raises(AssertionError):
        RewrapTarget("cards", name, "id", "number_sealed")
