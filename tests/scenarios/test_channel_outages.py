"""Each channel is down for a minute under load: no top-up is lost, none counted twice.

Top-ups through HTTP and parties of the sandbox over sockets, on a simulated clock; the
rounds are those of `kabao simulate --channels`, shorter.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from rich.console import Console

from kabao.app.channel_round import DOWN_S, Plan, Round
from kabao.app.settings import load
from kabao.app.simulate import own_place
from kabao.app.simulate_channels import SHARES, ChannelsOutcome, play_channels, print_channels

PLAN = Plan(seed=3, seconds=200, topups=120, lose=1.0, shares=SHARES)


def test_each_channel_is_down_for_a_minute_of_the_plan() -> None:
    for seconds in (200, 240, 1_000):
        plan = replace(PLAN, seconds=seconds)
        down = [plan.down(second) for second in range(seconds)]
        assert [down.count(party) for party in SHARES] == [DOWN_S] * len(SHARES)
        assert [one for one, before in zip(down, [None, *down], strict=False) if one != before]
    assert down[0] is None and down[-1] is None


@pytest.mark.row("S-16", "T-08")
async def test_outages_lose_no_top_up_and_double_none(database_url: str, tmp_path: Path) -> None:
    settings = replace(own_place(replace(load({}), data=tmp_path)), database_url=database_url)
    settings.data.mkdir(parents=True, exist_ok=True)
    said: list[str] = []
    outcome = await play_channels(settings, PLAN, said.append)
    assert outcome.holds
    assert outcome.routed.failure_bp <= 50  # T-08: 99.5 % succeed
    assert outcome.without.failure_bp >= 1_000
    assert outcome.without.by_channel.keys() == SHARES.keys()
    assert outcome.routed.switched > 0 and outcome.without.switched == 0
    assert outcome.without.refused == outcome.without.topups - outcome.without.succeeded


def test_both_rounds_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    plain = Round(
        topups=600,
        succeeded=553,
        refused=47,
        switched=0,
        lost=0,
        double=0,
        on_cards_fen=12_345_678,
        paid_fen=12_345_678,
        by_channel={},
    )
    assert plain.holds
    for wrong in ({"lost": 1}, {"double": 1}, {"on_cards_fen": 12_345_677}):
        assert not replace(plain, **wrong).holds
    routed = replace(plain, succeeded=600, refused=0, switched=9, by_channel={"wechat": 365})
    print_channels(Console(width=100), ChannelsOutcome(PLAN, plain, routed))
    lines = capsys.readouterr().out.splitlines()
    shown = [line.split() for line in lines]
    assert [
        "without",
        "the",
        "router",
        "600",
        "47",
        "7.83",
        "%",
        "0",
        "0",
        "0",
        "123,456.78",
    ] in shown
    assert ["with", "it", "600", "0", "0.00", "%", "9", "0", "0", "123,456.78"] in shown
    assert ["with", "it", "0", "365", "0"] in shown
