"""What is public, who may see it, when it is sent again: the pure part."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from kabao.access.model import Scope
from kabao.base.clock import FixedClock, RealClock
from kabao.base.outbox import Written
from kabao.notices.model.addresses import is_public
from kabao.notices.model.deliveries import shown_secret, signed_headers
from kabao.notices.model.endpoints import Limits
from kabao.notices.model.events import (
    HIDDEN,
    NOUNS,
    About,
    about,
    envelope,
    event_id,
    is_told,
    lane_of,
    wanted,
)
from kabao.policy.ops import Policy

AT = datetime(2026, 11, 22, 2, tzinfo=UTC)
A, B, S, T, R = (character * 32 for character in "abcde")


def event(kind: str = "payment.captured", payload: object = None, **more: object) -> Written:
    usual = {"xid": "7", "n": 3, "root": R, "root_seq": 5}
    return Written(
        type=kind,
        version=1,
        payload=payload or {},
        recorded_at=AT,
        **(usual | more),  # type: ignore[arg-type]  # what a test leaves out is usual
    )


@pytest.fixture(scope="module")
def limits() -> Limits:
    return Limits.of(Policy.load(FixedClock(AT)).rules(jurisdiction="national", on=AT.date()))


# Addresses


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "127.1.2.3",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::8.8.8.8",
        "::ffff:0:127.0.0.1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "fc00::1",
        "fd00::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "",
    ],
)
def test_what_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2400::1"]
)
def test_what_is_public(address: str) -> None:
    assert is_public(address)


# Pauses


def test_pauses_grow_up_to_the_longest(limits: Limits) -> None:
    grown = [limits.pause(n, 0.5).total_seconds() for n in range(1, 9)]
    assert grown == [5, 15, 45, 135, 405, 1215, 3600, 3600]
    assert limits.pause(10_000, 0.5) == timedelta(hours=1)


@given(st.integers(1, 100), st.floats(0, 1, exclude_max=True))
def test_chance_moves_a_pause_by_a_fifth_at_most(tries: int, chance: float) -> None:
    limits = Limits.of(Policy.load(FixedClock(AT)).rules(jurisdiction="national", on=AT.date()))
    middle, moved = limits.pause(tries, 0.5), limits.pause(tries, chance)
    assert 0.79 * middle <= moved <= 1.21 * middle


# Events


def test_only_public_fields_leave_and_ids_carry_their_prefix() -> None:
    payload = {
        "payment": A,
        "card": f"card_{B}",
        "store": S,
        "amount": 5,
        "from": "active",
        "by": "operator",
        "number": "8800",
        "metadata": {"amount": 5},
        "at": {"nested": 1},
        "other_card": None,
    }
    shown = envelope(event(payload=payload))
    assert shown.data == {
        "payment": f"pay_{A}",
        "card": f"card_{B}",
        "store": f"sto_{S}",
        "amount": 5,
        "from": "active",
        "other_card": None,
    }
    assert (shown.stream, shown.sequence, shown.version) == (f"acc_{R}", 5, 1)
    assert shown.occurred_at == "2026-11-22T10:00:00.000000+08:00"


def test_an_event_has_one_id_wherever_a_page_puts_it() -> None:
    assert event_id(event()) == event_id(event(xid="9", n=8))
    assert event_id(event()) != event_id(event(root_seq=6))
    alone = {"root": None, "root_seq": None}
    assert event_id(event(**alone)) != event_id(event(n=4, **alone))


def test_what_is_told_together_waits_together() -> None:
    alone = {"root": None, "root_seq": None}
    assert lane_of(event()) == R
    assert lane_of(event("case.opened", {"case": A, "store": S}, **alone)) == A
    assert lane_of(event("payment_order.captured", {"payment_order": f"pmo_{B}"}, **alone)) == B
    assert lane_of(event("switch.stopped", {"switch": "stop_pay"}, **alone)) == "0" * 32


def test_what_stays_inside() -> None:
    assert is_told("payment.captured")
    assert not is_told("payment.flagged")
    assert not is_told("stock.counted")
    assert not is_told("cashier.own_card_flagged")
    assert {kind.partition(".")[0] for kind in HIDDEN} <= NOUNS


@pytest.mark.parametrize(
    ("types", "told"),
    [
        (None, True),
        (("payment.captured",), True),
        (("payment.*",), True),
        (("payment.voided", "card.*"), False),
        (("payment",), False),
        ((), False),
    ],
)
def test_an_event_is_among_the_types_asked_for(
    types: tuple[str, ...] | None, *, told: bool
) -> None:
    assert wanted("payment.captured", types) is told


# Who sees what

GROUP = Scope(A)
COMPANY = Scope(A, frozenset({A}))
OTHER = Scope(B, frozenset({B}))
STORE = Scope(A, frozenset({A}), frozenset({S}))
FAR = Scope(A, frozenset({A}), frozenset({T}))
VISITING = Scope(B, frozenset({A}), frozenset({S}))


@pytest.mark.parametrize(
    ("whose", "seeing"),
    [
        (About(S, A, A), {"GROUP", "COMPANY", "STORE", "VISITING"}),
        (About(S, A, B), {"GROUP", "COMPANY", "OTHER", "STORE", "VISITING"}),
        (About(None, None, A), {"GROUP", "COMPANY"}),
        (About(None, None, None), {"GROUP"}),
        (About(S, None, None), set()),
        (About(S, None, A), {"GROUP", "COMPANY"}),
    ],
)
def test_who_sees_an_event(whose: About, seeing: set[str]) -> None:
    scopes = {
        "GROUP": GROUP,
        "COMPANY": COMPANY,
        "OTHER": OTHER,
        "STORE": STORE,
        "FAR": FAR,
        "VISITING": VISITING,
    }
    assert {name for name, scope in scopes.items() if whose.within(scope)} == seeing


class Shop:
    company = A


def test_whose_an_event_is() -> None:
    def find(payload: dict[str, str], **more: object) -> About:
        stores = {S: Shop()}
        return about(event(payload=payload, **more), stores.get, {R: B}, {T: A}.get)

    alone = {"root": None, "root_seq": None}
    assert find({"store": S}) == About(S, A, B)
    assert find({}) == About(None, None, B)
    assert find({"store": S}, **alone) == About(S, A, A)
    assert find({"programme": T}, **alone) == About(None, None, A)
    assert find({"company": f"com_{B}", "store": S}, **alone) == About(S, A, B)
    assert find({}, **alone) == About(None, None, None)


# Signatures


@given(st.binary(min_size=32, max_size=32), st.text(st.characters(codec="utf-8"), max_size=200))
def test_the_standards_own_library_takes_our_signatures(secret: bytes, text: str) -> None:
    body = text.encode()
    now_s = RealClock().now_us() // 1_000_000
    headers = signed_headers([bytes(32), secret], "evt_1", now_s, body)
    Webhook(shown_secret(secret)).verify(body, headers, json_parse=False)
