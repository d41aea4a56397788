"""When an order is looked at, and what is done then: at every threshold."""

from __future__ import annotations

from datetime import date

import pytest
from msgspec.structs import replace

from kabao.funding.model.answers import Scene
from kabao.funding.model.asking import US, Look, Patience
from kabao.funding.model.collections import ChannelOrder, Collection, Held
from kabao.funding.model.life import Asking, CounterRule, State

PATIENCE = Patience(Asking(5, 2, 600, 12), CounterRule(5, 10, 45, 15, 4), 2, 300)
LIFE_S = 900


def held(scene: Scene = Scene.QR, **order: object) -> Held:
    collection = Collection(
        id="1", purpose="load", subject="top_1", company="c", store=None, terminal=None,
        programme="p", scene=scene, amount_fen=1, currency="CNY", payer_ref=None, no_credit=False,
        channel=None, return_url=None, face_to_face=False, by_unit=False, title="t",
        state=State.PENDING, current="2", wanted=True, settled=False, code=None, rule=None,
        created_us=0, expires_us=LIFE_S * US, day=date(2026, 11, 22),
    )  # fmt: skip
    made = ChannelOrder(
        id="2", collection="1", no=1, channel="ch", state=State.PENDING, channel_no=None,
        paid_us=None, funds="", begun_us=0, ask_us=None, asked=0, asked_us=None, shown=None,
        reference=None, refusal=None, created_us=0, expires_us=LIFE_S * US,
    )  # fmt: skip
    return Held(collection, replace(made, **order))


def unwanted(one: Held) -> Held:
    return Held(replace(one.collection, wanted=False), one.order)


@pytest.mark.parametrize(
    ("asked", "now_s", "next_s"),
    [(0, 0, 5), (1, 5, 15), (2, 15, 35), (6, 315, 635), (7, 635, 900), (0, 896, 900)],
)
def test_pauses_grow_and_end_with_the_orders_time(asked: int, now_s: int, next_s: int) -> None:
    assert PATIENCE.next_us(held(asked=asked), now_s * US) == next_s * US


def test_after_its_time_it_is_asked_with_pauses_still() -> None:
    assert PATIENCE.next_us(held(asked=9), 900 * US) == 1500 * US
    assert PATIENCE.next_us(held(asked=50), 900 * US) == 1500 * US


@pytest.mark.parametrize(("asked", "now_s"), [(0, 5), (1, 15), (2, 25), (3, 35), (4, 45)])
def test_a_counter_asks_at_five_and_every_ten_seconds_and_cancels(asked: int, now_s: int) -> None:
    one = held(Scene.CODE, asked=asked)
    assert PATIENCE.next_us(one, (now_s - 1) * US) == now_s * US
    due = PATIENCE.due(one, now_s * US)
    assert due is (Look.CLOSE if now_s == 45 else Look.ASK)
    assert PATIENCE.due(one, now_s * US - US) is Look.WAIT


@pytest.mark.parametrize(("now_s", "due"), [(0, Look.WAIT), (14, Look.WAIT), (15, Look.CLOSE)])
def test_a_code_is_not_cancelled_before_its_payer_could_type(now_s: int, due: Look) -> None:
    assert PATIENCE.due(unwanted(held(Scene.CODE)), now_s * US) is due
    assert PATIENCE.next_us(unwanted(held(Scene.CODE)), now_s * US) == 15 * US


@pytest.mark.parametrize(("scene", "over_s"), [(Scene.QR, 900), (Scene.CODE, 45)])
def test_when_nothing_can_be_on_its_way_any_more(scene: Scene, over_s: int) -> None:
    assert not PATIENCE.over(held(scene), over_s * US - 1)
    assert PATIENCE.over(held(scene), over_s * US)


def test_what_was_never_sent_is_dropped_when_its_time_is_over() -> None:
    one = held(state=State.CREATED, begun_us=None)
    assert PATIENCE.next_us(one, 0) == LIFE_S * US
    assert PATIENCE.due(one, LIFE_S * US - 1) is Look.WAIT
    assert PATIENCE.due(one, LIFE_S * US) is Look.DROP


def test_an_order_that_another_took_the_place_of_is_closed() -> None:
    one = held(state=State.UNKNOWN)
    assert PATIENCE.due(one, 5 * US) is Look.ASK
    later = Held(replace(one.collection, current="3"), one.order)
    assert PATIENCE.due(later, 5 * US) is Look.CLOSE


@pytest.mark.parametrize(("asked", "worn_out"), [(11, False), (12, True)])
def test_after_so_many_questions_a_person_looks(asked: int, *, worn_out: bool) -> None:
    assert PATIENCE.worn_out(held(state=State.UNKNOWN, asked=asked), 0) is worn_out
    assert PATIENCE.worn_out(held(asked=asked), LIFE_S * US) is worn_out
    assert not PATIENCE.worn_out(held(asked=asked), 0), "it waits for its payer"
    code = held(Scene.CODE, state=State.UNKNOWN, asked=asked + 4)
    assert PATIENCE.worn_out(code, 0) is worn_out


@pytest.mark.parametrize(("since_s", "may"), [(1, False), (2, True), (3, True)])
def test_whoever_wants_to_know_asks_a_channel_no_more_often(since_s: int, *, may: bool) -> None:
    one = held(asked_us=100 * US)
    assert PATIENCE.may_poll(one, (100 + since_s) * US) is may
    assert PATIENCE.may_poll(held(), 0), "it was never asked"


def test_an_order_that_ended_unpaid_is_asked_about_once_more() -> None:
    for state in (State.FAILED, State.EXPIRED):
        assert PATIENCE.last_us(held(state=state), 0) == 300 * US
        assert PATIENCE.last_us(held(state=state, asked=1), 0) is None
        assert PATIENCE.last_us(held(state=state, begun_us=None), 0) is None, "never sent"
    assert PATIENCE.last_us(held(state=State.CONFIRMED), 0) is None
