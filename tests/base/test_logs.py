"""Nothing secret gets into a log line, wherever it stands in the event."""

from __future__ import annotations

import io
import json
import logging
from datetime import date
from typing import Any

import psycopg
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kabao.base import logs
from kabao.base.clock import RealClock
from kabao.base.ids import RandomIds
from kabao.base.logs import mask_event, mask_text

surroundings = st.text(st.characters(codec="utf-8", exclude_categories=["Nd", "Cs"]), max_size=12)


def numbers(shortest: int, longest: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=shortest, max_size=longest)


def masked(event: dict[str, Any]) -> dict[str, Any]:
    return dict(mask_event(None, "info", event))


@given(surroundings, numbers(13, 19), surroundings)
def test_card_numbers(before: str, number: str, after: str) -> None:
    text = mask_text(f"{before}{number}{after}")
    assert number not in text
    assert sum(character in "0123456789" for character in text) <= 10


@given(numbers(14, 17))
def test_of_a_card_number_six_and_four_digits_stay(number: str) -> None:
    assume(not number.startswith(("861", "00861")))
    assert mask_text(number) == f"{number[:6]}{'*' * (len(number) - 10)}{number[-4:]}"


@given(st.lists(numbers(4, 4), min_size=4, max_size=4), st.sampled_from(" -"), numbers(1, 3))
def test_card_numbers_in_groups(groups: list[str], separator: str, tail: str) -> None:
    text = mask_text("paid with " + separator.join([*groups, tail]))
    assert separator.join(groups) not in text
    assert "".join(groups[2:]) not in text


@given(
    st.sampled_from(["", "86", "+86", "+86 ", "0086", "86-"]),
    st.sampled_from("3456789"),
    numbers(8, 8),
)
def test_mobile_numbers(prefix: str, second: str, tail: str) -> None:
    phone = f"1{second}0{tail}"
    text = mask_text(f"sms to {prefix}{phone}, twice")
    assert phone not in text
    assert phone[3:8] not in text
    assert f"1{second}0****{phone[-4:]}, twice" in text


@pytest.mark.parametrize("text", ["138 0013 8000", "138-0013-8000"])
def test_mobile_numbers_in_groups(text: str) -> None:
    assert mask_text(text) == "138****8000"


@given(
    numbers(5, 5),
    st.dates(min_value=date(1900, 1, 1), max_value=date(2099, 12, 31)),
    numbers(3, 3),
    st.sampled_from("0123456789Xx"),
)
def test_identity_numbers(region: str, born: date, order: str, check: str) -> None:
    number = f"1{region}{born:%Y%m%d}{order}{check}"
    text = mask_text(f"holder {number}.")
    assert text == "holder [masked]."


@given(st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", min_size=8))
def test_api_keys(key: str) -> None:
    assert mask_text(f"key kb_{key} used") == "key kb_[masked] used"
    assert key not in mask_text(f"Authorization: Bearer kb_{key}")
    assert key not in mask_text(f"authorization: Bearer {key}")


@given(
    st.sampled_from(
        [
            "pin",
            "new_pin",
            "PIN",
            "secret",
            "client_secret",
            "password",
            "authorization",
            "token",
            "X-Api-Key",
            "api_key",
            "cvv",
            "track2",
            "otp",
            "tmk",
            "pin_block",
            "id_number",
        ]
    ),
    st.one_of(st.text(min_size=1), st.integers(), st.lists(st.text(min_size=1), min_size=1)),
)
def test_fields_named_like_a_secret(name: str, value: Any) -> None:
    assert masked({name: value})[name] == "[masked]"
    assert masked({"request": {"body": {name: value}}})["request"]["body"][name] == "[masked]"


@given(st.sampled_from(["pin", "password", "new_pin"]), numbers(4, 12))
def test_secrets_named_inside_a_text(name: str, value: str) -> None:
    for text in (f"{name}={value}", f"Pay({name}='{value}')", f'{{"{name}": "{value}"}}'):
        assert value not in mask_text(text)


@given(numbers(13, 19))
def test_at_any_depth_and_of_any_type(number: str) -> None:
    assume(number[0] != "0")

    class Opaque:
        def __repr__(self) -> str:
            return f"<card {number}>"

    event = {
        "text": number,
        "number": int(number),
        "list": [number, {"deep": (number,)}],
        number: "as a key",
        "bytes": number.encode(),
        "object": Opaque(),
        "error": ValueError(number),
    }
    assert number not in json.dumps(masked(event))


def test_what_is_no_secret_stays() -> None:
    ids = RandomIds(RealClock())
    event = {
        "event": "paid",
        "card": f"card_{ids.new()}",
        "op": ids.new(),
        "at_us": 1_763_776_800_000_000,
        "amount_fen": 9_007_199_254_740_991,
        "pin_tries": 3,
        "seconds": 0.25,
        "ok": True,
        "none": None,
        "date": "2026-11-22T10:00:00.123456+08:00",
        "count": 123_456_789,
    }
    assert masked(event) == event


@given(st.integers(min_value=0, max_value=2**122))
def test_ids_stay(random: int) -> None:
    ident = f"019aa{random % 16**7:07x}7{random % 16**3:03x}8{random % 16**15:015x}"
    assume(any(letter in "abcdef" for letter in ident))
    assert mask_text(f"pay_{ident}") == f"pay_{ident}"
    assert mask_text(ident) == ident


def test_two_card_numbers_run_together_are_no_id() -> None:
    number = "6222021234567890"
    assert number not in mask_text(number + number)


def test_passwords_in_urls() -> None:
    assert mask_text("postgresql://kabao:hush@127.0.0.1/kabao") == (
        "postgresql://kabao:[masked]@127.0.0.1/kabao"
    )


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_one_json_object_a_line(stream: io.StringIO) -> None:
    logs.get("cards").info("issued", cards=1000, text="line one\nline two")
    [line] = lines(stream)
    assert line["event"] == "issued"
    assert line["cards"] == 1000
    assert line["logger"] == "kabao.cards"
    assert line["level"] == "info"
    assert line["timestamp"].endswith("Z")


def test_lines_of_libraries_are_masked_too(stream: io.StringIO) -> None:
    logging.getLogger("some.library").warning("refused %s", "6222021234567890123")
    assert lines(stream)[0]["event"] == "refused 622202*********0123"


def test_tracebacks_are_masked(stream: io.StringIO) -> None:
    try:
        raise ValueError("card 6222021234567890123 with pin=123456")
    except ValueError:
        logs.get("cards").exception("failed")
    assert "6222021234567890123" not in stream.getvalue()
    assert "123456" not in stream.getvalue()
    assert "ValueError" in lines(stream)[0]["exception"]


def test_what_a_database_says_is_not_repeated(stream: io.StringIO, server_url: str) -> None:
    """It quotes the values it complains about, names and addresses among them."""
    name = "Zhuge Liang"
    with psycopg.connect(server_url) as conn:
        conn.execute("create temp table guest (name text constraint nobody check (name = ''))")
        try:
            conn.execute("insert into guest values (%s)", [name])
        except psycopg.Error:
            logs.get("cards").exception("failed")
            logging.getLogger("some.library").warning("failed", exc_info=True)
    for line in lines(stream):
        assert "CheckViolation: sqlstate 23514, constraint nobody" in line["exception"]
        assert "test_logs.py" in line["exception"]
    assert len(lines(stream)) == 2
    assert name not in stream.getvalue()


def test_the_level_is_kept(stream: io.StringIO) -> None:
    logs.get("cards").debug("not now")
    assert lines(stream) == []
