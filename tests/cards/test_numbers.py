"""Numbers, PINs, tracks, barcodes: pure laws, and what randomness must look like."""

import itertools
from collections import Counter
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kabao.base.clock import to_us
from kabao.cards.model import is_over, is_weak_pin, last_day
from kabao.cards.numbers import (
    TRACK_MAX,
    allot,
    barcode_covered,
    draw_numbers,
    draw_pins,
    has_luhn,
    luhn_digit,
    make_barcode,
    make_track,
    range_size,
    read_barcode,
    read_track,
    room_left,
    track_covered,
)

PREFIX = "8800101"
NUMBERS = st.builds(
    lambda tail: PREFIX + f"{tail:011d}" + luhn_digit(PREFIX + f"{tail:011d}"),
    st.integers(0, 10**11 - 1),
)
VALUES = st.from_regex("[0-9]{8}", fullmatch=True)
VERSIONS = st.integers(1, 99)


@pytest.mark.parametrize(
    ("number", "right"),
    [
        ("79927398713", True),
        ("79927398710", False),
        ("4111111111111111", True),
        ("4111111111111112", False),
        ("6225365271562822", True),
    ],
)
def test_luhn_vectors(number: str, right: bool) -> None:
    assert has_luhn(number) is right


@given(number=NUMBERS, at=st.integers(0, 18), by=st.integers(1, 9))
def test_one_wrong_digit_is_found(number: str, at: int, by: int) -> None:
    wrong = number[:at] + str((int(number[at]) + by) % 10) + number[at + 1 :]
    assert has_luhn(number)
    assert not has_luhn(wrong)


def test_drawn_numbers_are_whole_and_all_different() -> None:
    drawn = draw_numbers(PREFIX, 19, 20_000)
    assert len(set(drawn)) == 20_000
    assert all(len(n) == 19 and n.startswith(PREFIX) and has_luhn(n) for n in drawn)


@pytest.mark.row("K-02")
def test_the_random_part_looks_random() -> None:
    """ATK-2: each digit place is uniform (chi squared, 9 degrees, p < 1e-6: 45),
    and no number is near the one drawn before it.
    """
    drawn = draw_numbers(PREFIX, 19, 20_000)
    for place in range(len(PREFIX), 18):
        seen = Counter(n[place] for n in drawn)
        chi = sum((seen[str(d)] - 2_000) ** 2 / 2_000 for d in range(10))
        assert chi < 45, f"digit {place}: {chi}"
    tails = [int(n[len(PREFIX) : 18]) for n in drawn]
    near = sum(abs(a - b) < 10**6 for a, b in itertools.pairwise(tails))
    assert near < 20, "about 0.4 pairs in 20,000 are so near by chance"
    rising = sum(a < b for a, b in itertools.pairwise(tails))
    assert 9_500 < rising < 10_500


def test_pins_are_never_weak() -> None:
    drawn = draw_pins(6, {"271828"}, 20_000)
    assert len(drawn) == 20_000
    assert not any(is_weak_pin(pin, {"271828"}) for pin in drawn)
    assert all(len(pin) == 6 and pin.isdigit() for pin in drawn)
    assert len({pin[0] for pin in drawn}) == 10, "a leading zero is a digit like any other"


@pytest.mark.parametrize(
    ("pin", "weak"),
    [
        ("000000", True),
        ("777777", True),
        ("123456", True),
        ("890123", True),
        ("654321", True),
        ("210987", True),
        ("121212", True),
        ("123123", True),
        ("1212", True),
        ("271828", True),
        ("271829", False),
        ("102938", False),
        ("123455", False),
        ("112244", False),
    ],
)
def test_weak_pins(pin: str, weak: bool) -> None:
    assert is_weak_pin(pin, {"271828"}) is weak


@given(number=NUMBERS, version=VERSIONS, value=VALUES, swipe=st.booleans())
def test_a_track_reads_back(number: str, version: int, value: str, swipe: bool) -> None:
    covered = track_covered(number, date(2029, 11, 22), pin_on_swipe=swipe)
    track = make_track(covered, version, value)
    assert len(track) <= TRACK_MAX
    for written in (track, f";{track}?", track.replace("=", "D")):
        read = read_track(written)
        assert read is not None
        assert (read.number, read.key_version, read.covered, read.value) == (
            number,
            version,
            covered,
            value,
        )


def test_a_track_as_documented() -> None:
    covered = track_covered("8800101234567890128", None, pin_on_swipe=False)
    assert make_track(covered, 3, "12345678") == "8800101234567890128=49127210312345678"
    covered = track_covered("8800101234567890128", date(2029, 1, 31), pin_on_swipe=True)
    assert make_track(covered, 3, "12345678") == "8800101234567890128=29017200312345678"


@given(number=NUMBERS, version=VERSIONS, value=VALUES)
def test_a_barcode_reads_back(number: str, version: int, value: str) -> None:
    data = make_barcode(barcode_covered(number), version, value)
    assert data.isdigit()
    assert len(data) % 2 == 0, "Code 128 C packs pairs"
    assert data[:2] not in {*map(str, range(10, 16)), *map(str, range(25, 31)), "62"}
    read = read_barcode(data)
    assert read is not None
    assert (read.number, read.key_version, read.value) == (number, version, value)


@given(text=st.text(max_size=64))
def test_what_is_no_track_or_barcode_is_nothing(text: str) -> None:
    if not text.isascii() or not any(c.isdigit() for c in text):
        assert read_track(text) is None
        assert read_barcode(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8800101234567890128",
        "8800101234567890128=4912721031234567",
        "8800101234567890128=491272103123456789",
        "8800101234567890128=49127210312345678\n",
        "８８００101234567890128=49127210312345678",
        "988",
        "988880010123450312345678",
        "9878800101234567890128" + "0312345678",
    ],
)
def test_near_misses_are_nothing(text: str) -> None:
    assert read_track(text) is None
    assert read_barcode(text) is None


def test_secrets_do_not_show() -> None:
    covered = barcode_covered("8800101234567890128")
    read = read_barcode(make_barcode(covered, 1, "12345678"))
    assert repr(read) == "Shown(…)"


@given(room=st.lists(st.integers(0, 10**6), min_size=1, max_size=8), count=st.integers(1, 10**6))
def test_numbers_are_drawn_where_there_is_room(room: list[int], count: int) -> None:
    parts = allot(room, count)
    if sum(room) < count:
        assert parts is None
        return
    assert parts is not None
    assert sum(parts) == count
    assert all(0 <= part <= left for part, left in zip(parts, room, strict=True))


@pytest.mark.parametrize(("issued", "left"), [(9_999, 1), (10_000, 0), (10_001, 0)])
def test_a_range_is_full_at_its_density(issued: int, left: int) -> None:
    """ATK-2: one number in ten thousand of 10^8."""
    assert range_size("8800123456", 19) == 10**8
    assert room_left("8800123456", 19, issued, 100) == left


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        (date(2026, 11, 22), 36, date(2029, 11, 22)),
        (date(2026, 12, 31), 36, date(2029, 12, 31)),
        (date(2028, 2, 29), 36, date(2031, 2, 28)),
        (date(2028, 2, 29), 48, date(2032, 2, 29)),
        (date(2026, 8, 31), 37, date(2029, 9, 30)),
        (date(2026, 11, 22), None, None),
    ],
)
def test_a_period_in_months(start: date, months: int | None, end: date | None) -> None:
    assert last_day(start, months) == end


def test_a_card_is_good_to_the_end_of_its_last_day_where_it_lives() -> None:
    """Market pain 20: inclusive, in the programme's time zone."""
    last = date(2029, 11, 22)
    midnight = to_us(datetime(2029, 11, 22, 16, tzinfo=UTC))  # the 23rd in Shanghai
    assert not is_over(last, midnight - 1, "Asia/Shanghai")
    assert is_over(last, midnight, "Asia/Shanghai")
    assert not is_over(last, midnight, "UTC")
    assert not is_over(None, midnight, "Asia/Shanghai")
