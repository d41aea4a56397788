"""`kabao demo`: a chain of stores trades for a day, and the books are shown.

The day is one that is really over: it is played on the simulated clock, some
thousand times as fast, so that its transfers carry its hours and it can be
closed for good. On the morning after, cards are topped up through every channel;
the clock is turned to the next one, when bills are there and the day is closed,
and to the workday on which stores are paid. Then the simulated clock is taken
away, and the platform goes on in real time, as `kabao serve` would.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import date, timedelta

import msgspec
import uvloop

from kabao.app.channel_world import World, the_world
from kabao.app.demo_channels import CARDS as CHANNEL_CARDS
from kabao.app.demo_channels import ChannelsDay, play_channels
from kabao.app.demo_door import DemoDoor, DemoFile, describe
from kabao.app.demo_night import FOLDER, Night, NightOffice, paid_on, turned
from kabao.app.demo_offline import CARDS as OFFLINE_CARDS
from kabao.app.demo_offline import OfflineHour, play_offline
from kabao.app.demo_pos import injected
from kabao.app.demo_tills import CARDS, TillsDay, play_tills
from kabao.app.report import AfterTheDay, DayReport, day_report
from kabao.app.settings import Settings
from kabao.app.simulate_judge import judge, together
from kabao.app.simulate_play import Campaign, Scenario, Show, address
from kabao.app.simulate_show import Bars, Quiet
from kabao.app.simulate_stage import Stage
from kabao.base.clock import US_PER_S, BusinessDays, RealClock, to_us
from kabao.base.errors import SETTING
from kabao.base.process import listen

STORES = 8
PEOPLE = 400
LIVELY = 3.0
SPARE = 240
SEED = 1
SERVERS = 2
JOURNAL = "demo-journal.jsonl"
"""In the data folder. Where it is, a demo was: its database may be begun anew."""

PER_S_MAX = 110.0
SHARE_OF_CAPACITY = 0.6
"""How much of what this machine did while the world was built the day asks for."""

MARGIN_S = 30 * 3_600
"""The day must be over by then, even when this machine is slow."""

ONE = timedelta(days=1)
HOUR_US = 3_600 * US_PER_S


def demo(
    settings: Settings,
    show_report: Callable[[DayReport, str], None],
    serve: Callable[[], None],
    *,
    once: bool = False,
    quiet: bool = False,
    seed: int = SEED,
) -> bool:
    """Play a day, show its report, and keep serving. Whether every fen is accounted for.

    Args:
        settings: where the data folder is, and the port.
        show_report: is given the report and the address that is served.
        serve: returns when somebody wants us to stop.
        once: end after the report.
        quiet: no progress.
        seed: the same seed plans the same day.

    Raises:
        KabaoError: `database_not_ours` for a data folder or database that is
            in use by anything but a demo, and what starting a platform raises.
    """
    if settings.tls_cert is not None:
        raise SETTING.error(
            "The demo trades over plain HTTP: leave KABAO_TLS_CERT out.", field="KABAO_TLS_CERT"
        )
    listen(settings.http_host, settings.http_port, setting="KABAO_HTTP_PORT").close()
    listen(settings.http_host, settings.pos_port, setting="KABAO_POS_PORT").close()
    stage = Stage(settings, servers=SERVERS)
    with (
        stage.database(replace=(settings.data / JOURNAL).is_file()),
        the_world(settings.data) as world,
    ):
        with Quiet() if quiet else Bars() as show:
            report, file = uvloop.run(_play(stage, world, seed, show))
        with DemoDoor(settings.data, file, stage.pids):
            show_report(report, file.http)
            if not once:
                serve()
    return report.holds


async def _play(stage: Stage, world: World, seed: int, show: Show) -> tuple[DayReport, DemoFile]:
    day = day_to_play(stage.days, RealClock().now_us())
    scenario = Scenario(
        seed=seed,
        stores=STORES,
        cards=PEOPLE,
        first_day=day,
        lively=LIVELY,
        spare=SPARE + CARDS + OFFLINE_CARDS + CHANNEL_CARDS,
    )
    journal = stage.settings.data / JOURNAL
    async with Campaign(stage, scenario, journal, show) as campaign:
        await campaign.build()
        per_s = min(PER_S_MAX, campaign.built_per_s * SHARE_OF_CAPACITY)
        await campaign.open(campaign.rate_for(per_s))
        begun = time.monotonic()
        await campaign.trade(day)
        seconds = time.monotonic() - begun
        await _turn(stage, world, day + ONE, 9)
        done = await campaign.close(day)
        show.begin("Audit")
        of_the_day = await asyncio.to_thread(judge, stage.url, journal, day)
        channels, night = await _night(stage, campaign, world, day + ONE, show)
        await stage.go_real()
        masters = await injected(stage.settings, campaign.chain)
        file = describe(
            address(stage),
            f"{stage.settings.http_host}:{stage.settings.pos_port}",
            stage.url,
            campaign.keys,
            campaign.chain,
            masters,
            stage.pids(),
        )
        tills, offline = await _today(stage, campaign, file, seed, show)
        show.begin("Audit, with what came after the day")
        verdict = together(of_the_day, await asyncio.to_thread(judge, stage.url, None, day))
        after = AfterTheDay(tills, offline, channels, night)
        report = day_report(done, campaign.chain, campaign.tally, seconds, after, verdict)
    return report, msgspec.structs.replace(file, cards=file.cards[:SPARE])


async def _night(
    stage: Stage, campaign: Campaign, world: World, day: date, show: Show
) -> tuple[ChannelsDay, Night]:
    """Top-ups on the day after; its night; and the workday on which stores are paid."""
    chain, http = campaign.chain, address(stage)
    show.begin("Top-ups through every payment channel")
    async with NightOffice(http, campaign.keys, chain, world, day) as office:
        await office.prepare()
    channels = await play_channels(http, campaign.keys, chain, chain.spare[-CHANNEL_CARDS:], world)
    async with NightOffice(http, campaign.keys, chain, world, day) as office:
        await office.deposit()
    show.begin("The night: bills, netting, closing")
    await _turn(stage, world, day + ONE, 11)
    async with NightOffice(http, campaign.keys, chain, world, day) as office:
        closed = await office.closed()
    show.begin("The workday: stores are paid")
    if paid_on(day) > day + ONE:
        await _turn(stage, world, paid_on(day), 11)
    async with NightOffice(http, campaign.keys, chain, world, day) as office:
        payees = await office.pay()
        night = await office.looked_at(stage.settings.data / FOLDER, payees, closed=closed)
    return channels, night


async def _turn(stage: Stage, world: World, day: date, hour: int) -> None:
    """Let it be that hour of a day, for the world and for the platform: it is there first,
    because a worker asks for bills as soon as it is awake.
    """
    at_us = to_us(stage.days.start(day)) + hour * HOUR_US
    await turned(world, at_us)
    await stage.turn(at_us, 1.0)
    await turned(world, stage.clock.now_us())


async def _today(
    stage: Stage, campaign: Campaign, file: DemoFile, seed: int, show: Show
) -> tuple[TillsDay, OfflineHour]:
    """What comes today, when all that is long over: each with cards of its own."""
    spare = campaign.chain.spare
    show.begin("Tills at the POS host")
    theirs = msgspec.structs.replace(file, cards=file.cards[SPARE : SPARE + CARDS])
    tills = await play_tills(theirs, seed)
    show.begin("A till whose line goes dead")
    offline = await play_offline(
        stage.settings,
        address(stage),
        campaign.keys.merchant,
        campaign.chain.shops,
        spare[SPARE + CARDS : -CHANNEL_CARDS],
    )
    return tills, offline


def day_to_play(days: BusinessDays, now_us: int) -> date:
    """The last day whose next one has been settled and paid for a while: the simulated clock
    may overshoot midnight, and must never pass the real one.
    """
    over = days.of(now_us - MARGIN_S * US_PER_S)
    day = over - ONE
    while paid_on(day + ONE) > over:
        day -= ONE
    return day
