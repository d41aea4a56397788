"""The queue of a till without a line: it never sells more than it was granted."""

from __future__ import annotations

import hmac
import tempfile
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kabao.till import Journal, Queue, QueueEntry, Sold, offline_slip
from kabao.till.journal import MAX_BYTES
from kabao.till.offline import Refused
from kabao.till.terms import Granted, Terms

KEY = bytes(32)
AT = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
SALT = bytes(16)
PATTERN = r"988([0-9]{12,19})[0-9]{10}"


def number(card: int) -> str:
    return f"88000000{card:08}"


def source(card: int) -> dict[str, str]:
    return {"type": "barcode", "data": f"988{number(card)}0112345678"}


def terms(most: int = 1_000, total: int = 2_500, count: int = 4, cards: int = 8) -> Terms:
    named = {
        hmac.digest(SALT, number(card).encode(), "sha256").hex(): Granted(most, f"grant {card}")
        for card in range(cards)
    }
    until = AT + timedelta(hours=4)
    return Terms("sto", "ter", "CNY", AT, until, total, count, SALT.hex(), PATTERN, named)


class Machine:
    """A disk and a clock; switched on anew as often as one likes."""

    def __init__(self, folder: Path) -> None:
        self.path, self.now = folder / "queue", AT
        self._open()

    def _open(self, max_bytes: int = MAX_BYTES) -> None:
        self.journal: Journal[QueueEntry] = Journal(self.path, KEY, QueueEntry, max_bytes)
        self.queue = Queue(self.journal, lambda: self.now)

    def again(self, max_bytes: int = MAX_BYTES) -> None:
        self.journal.close()
        self._open(max_bytes)

    def sell(self, card: int, amount: int) -> str | None:
        """The code it was refused with."""
        sold = self.queue.sell(amount, source(card), "r")
        return sold.code if isinstance(sold, Refused) else None


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("amount", "code"), [(-1, "over_card_cap"), (0, "over_card_cap"), (1, None), (1_000, None),
                         (1_001, "over_card_cap")]
)  # fmt: skip
def test_a_cards_cap(machine: Machine, amount: int, code: str | None) -> None:
    machine.queue.take(terms())
    assert machine.sell(0, amount) == code


@pytest.mark.parametrize(("last", "code"), [(500, None), (501, "over_terminal_cap")])
def test_a_tills_cap(machine: Machine, last: int, code: str | None) -> None:
    machine.queue.take(terms())
    assert (machine.sell(0, 1_000), machine.sell(1, 1_000)) == (None, None)
    assert machine.sell(2, last) == code


def test_a_tills_count(machine: Machine) -> None:
    machine.queue.take(terms(count=2))
    assert [machine.sell(card, 1) for card in range(3)] == [None, None, "over_terminal_count"]


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(-1, "clock_set_back"), (0, None), (4 * 3600 - 1, None), (4 * 3600, "offline_not_allowed")],
)
def test_the_time_of_terms(machine: Machine, seconds: int, code: str | None) -> None:
    machine.queue.take(terms())
    machine.now = AT + timedelta(seconds=seconds)
    assert machine.sell(0, 1) == code


@pytest.mark.parametrize(
    "shown",
    [
        {"type": "barcode", "data": "988" + number(99) + "0112345678"},
        {"type": "barcode", "data": number(0)},
        {"type": "barcode"},
        {"type": "card_number", "number": number(0), "pin": "123456"},
        {"type": "pay_code", "code": "830000000000000000"},
        {"type": "track", "track2": f"{number(0)}=49122010112345678"},
    ],
)
def test_what_cannot_be_read_or_is_not_listed(machine: Machine, shown: dict[str, str]) -> None:
    machine.queue.take(terms())
    assert machine.queue.sell(1, shown, "r") == Refused("card_not_known_offline")


def test_without_terms_nothing(machine: Machine) -> None:
    assert machine.sell(0, 1) == "offline_not_allowed"


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("sell"), st.integers(0, 9), st.integers(1, 1_200)),
        st.tuples(st.sampled_from(["power", "answered", "later"]), st.just(0), st.just(0)),
    ),
    max_size=20,
)


@settings(max_examples=60)
@given(STEPS)
def test_whatever_happens_it_stays_within_its_terms(steps: list[tuple[str, int, int]]) -> None:
    """Power cuts and uploads forget nothing of what was sold under the terms."""
    with tempfile.TemporaryDirectory() as folder:
        machine, made = Machine(Path(folder)), list[Sold]()
        machine.queue.take(terms())
        for what, card, amount in steps:
            match what:
                case "power":
                    waiting = machine.queue.waiting
                    machine.again()
                    assert machine.queue.waiting == waiting
                case "answered" if machine.queue.waiting:
                    machine.queue.answered(machine.queue.waiting[0].sequence)
                case "later":
                    machine.now += timedelta(minutes=20)
                case "sell":
                    sold = machine.queue.sell(amount, source(card), "r")
                    made += [sold] if isinstance(sold, Sold) else []
        assert sum(sold.amount for sold in made) <= 2_500
        assert len(made) <= 4
        assert len({sold.digest for sold in made}) == len(made)
        assert all(sold.amount <= 1_000 for sold in made)
        assert all(sold.occurred_at < AT + timedelta(hours=4) for sold in made)
        sequences = [sold.sequence for sold in made]
        assert sequences == sorted(set(sequences))


def test_a_full_queue_refuses(machine: Machine) -> None:
    machine.queue.take(terms())
    machine.again(max_bytes=machine.path.stat().st_size)
    assert machine.sell(0, 1) == "queue_full"
    assert machine.queue.waiting == []


def test_no_card_is_in_clear_on_the_disk(machine: Machine) -> None:
    machine.queue.take(terms())
    assert machine.sell(3, 1) is None
    assert number(3).encode() not in machine.path.read_bytes()


def test_the_slip(machine: Machine) -> None:
    machine.queue.take(terms())
    assert machine.sell(3, 1_000) is None
    (sold,) = machine.queue.waiting
    zone = timezone(timedelta(hours=8))
    narrow = offline_slip(sold, store="江汉路店", terminal_no="T0000001", zone=zone)
    assert narrow == (
        "            江汉路店\n"
        "       消费凭证（未联机）\n"
        "--------------------------------\n"
        "终端号                  T0000001\n"
        "卡号                   **** 0003\n"
        "金额                     10.00元\n"
        "交易时间     2026-11-22 17:30:00\n"
        "脱机流水号         1795339800000\n"
        "参考号                         r\n"
        "--------------------------------\n"
        "未联机交易，联网后自动上送入账。\n"
        "卡余额以联网查询为准。\n"
        "预付卡支付部分不开具发票\n"
    )
    again = offline_slip(sold, store="店", terminal_no="T", zone=zone, columns=48, copy=2)
    assert "*** 重印 第2联 ***" in again
