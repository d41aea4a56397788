"""`kabao simulate --channels`: top-ups through channels that fail, with the router and without."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import uvloop
from rich.console import Console
from rich.text import Text

from kabao.app.channel_round import Plan, Playing, Round, wishes
from kabao.app.channel_site import site
from kabao.app.channel_world import channel_world
from kabao.app.report_parts import grid, section
from kabao.app.settings import Settings
from kabao.app.simulate import own_place
from kabao.app.simulate_stage import Stage
from kabao.base.money import yuan

SHARES = {"alipay": 50, "wechat": 35, "unionpay": 15}
"""How many of a hundred payers would choose which."""
TOPUPS, SECONDS = 600, 1_000
LOSE = 1.2
"""With a minute of outage each in 1,000 seconds, about as much fails as document 003 says."""

Told = Callable[[str], None]
"""Hears what is going on."""


class ChannelsOutcome(msgspec.Struct, frozen=True):
    """What the same top-ups came to."""

    plan: Plan
    without: Round
    routed: Round

    @property
    def holds(self) -> bool:
        """Whether nothing was lost and nothing counted twice."""
        return self.without.holds and self.routed.holds


def simulate_channels(
    settings: Settings,
    told: Told,
    *,
    seed: int = 1,
    topups: int = TOPUPS,
    seconds: int = SECONDS,
    lose: float = LOSE,
) -> ChannelsOutcome:
    """Play the same top-ups twice: each payer's own channel only, then as the router chooses.

    Args:
        settings: only the data folder matters, and where PostgreSQL is.
        told: hears what is going on.
        seed: the same seed plans the same top-ups.
        topups: in each round.
        seconds: by the simulated clock. Each channel is down for 60 of them.
        lose: percent of the channels' answers that get lost.
    """
    plan = Plan(seed=seed, seconds=seconds, topups=topups, lose=lose, shares=SHARES)
    stage = Stage(own_place(settings))
    with stage.database(replace=True):
        return uvloop.run(play_channels(stage.settings, plan, told))


async def play_channels(settings: Settings, plan: Plan, told: Told) -> ChannelsOutcome:
    """Play on an empty, migrated database."""
    told("The world of channels starts")
    async with channel_world(plan.seed) as world, site(settings) as place:
        rounds: list[Round] = []
        for routed in (False, True):
            told("With the router" if routed else "Without the router")
            playing = Playing(place, world, plan, routed=routed)
            await playing.prepare()
            rounds.append(await playing.play(wishes(plan)))
    return ChannelsOutcome(plan, *rounds)


def print_channels(console: Console, outcome: ChannelsOutcome) -> None:
    """Print what a simulation of channels came to."""
    plan = outcome.plan
    table = grid(
        ("", "l"),
        ("top-ups", "r"),
        ("failed", "r"),
        ("", "r"),
        ("switched", "r"),
        ("lost", "r"),
        ("double", "r"),
        ("on cards", "r"),
    )
    through = grid(("", "l"), *((party, "r") for party in plan.shares))
    for name, one in (("without the router", outcome.without), ("with it", outcome.routed)):
        table.add_row(
            name,
            f"{one.topups:,}",
            f"{one.topups - one.succeeded:,}",
            f"{one.failure_bp / 100:.2f} %",
            f"{one.switched:,}",
            f"{one.lost:,}",
            f"{one.double:,}",
            yuan(one.on_cards_fen),
        )
        through.add_row(name, *(f"{one.by_channel.get(party, 0):,}" for party in plan.shares))
    console.print(section("Top-ups through payment channels", table))
    console.print(section("Which channel took those that succeeded", through))
    console.print(
        Text(
            f"{plan.seconds:,} simulated seconds; each channel was down for 60 of them and lost "
            f"{plan.lose:g} % of its answers. Without the router a payer's own channel is the "
            "only one. Document 003 promises 7.2 % and 2.1 % (S-16)."
        )
    )
