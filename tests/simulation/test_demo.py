"""What surrounds the demo's day: which day, the door it leaves open, the report, whose folder."""

from __future__ import annotations

import asyncio
import stat
import time
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from kabao.app.demo import day_to_play
from kabao.app.demo_channels import ChannelDay, ChannelsDay
from kabao.app.demo_door import DemoDoor, DemoFile, DemoPids
from kabao.app.demo_night import BillLine, Night, Payee, StoreLine, paid_on
from kabao.app.demo_offline import OfflineHour
from kabao.app.demo_tills import TillDay, TillsDay
from kabao.app.report import AfterTheDay, AuditLine, DayReport, Verdict, day_report, print_report
from kabao.app.report_parts import bar
from kabao.app.settings import Settings
from kabao.app.simulate_stage import Stage
from kabao.base.clock import BusinessDays, to_us
from kabao.base.errors import KabaoError
from kabao.base.money import yuan
from kabao.simulation.chain import Chain, Shop
from kabao.simulation.ports import Pids
from kabao.simulation.run import DayDone
from kabao.simulation.tally import Flow, Tally
from kabao.simulation.world import make_world

OFFLINE = OfflineHour(6, 18_000, 2, 16_500, 1_500, 0)
BANKS = "Online banking of companies"
CHANNEL = ChannelDay("netbank_company", BANKS, 12, 12, 12_000, 36_000, "T+1", 35.2, 1_204.0)
SHANGHAI = ZoneInfo("Asia/Shanghai")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NIGHT = Night(
    day=date(2026, 11, 21),
    closed=True,
    paid_on=date(2026, 11, 23),
    bills=[BillLine("netbank_company", 12, 12, 0, "finished")],
    stores=[StoreLine("University Corner Shop", 543_210, 10_000, 0, 0, 533_210)],
    payees=[Payee("Heyue Bakeries and Cafes", 533_210, 2, 1)],
    slips=2_205,
    disagreements=[],
    files=[".kabao/demo-night/report.html"],
)


@given(st.integers(0, 2 * 366 * 24 * 60))
def test_stores_were_paid_for_the_next_day_before_now_and_the_day_is_a_recent_one(
    minutes: int,
) -> None:
    now = datetime(2026, 1, 1, tzinfo=SHANGHAI) + timedelta(minutes=minutes)
    days = BusinessDays()
    day = day_to_play(days, to_us(now))
    paid = days.start(paid_on(day + DAY) + DAY)
    assert now - paid >= 6 * HOUR
    assert now - days.start(day) < 15 * DAY  # the longest holidays, and weekends around them


def test_a_year_whose_calendar_is_not_published_is_worked_as_weekdays_say() -> None:
    assert paid_on(date(2026, 9, 30)) == date(2026, 10, 8)  # the National Day's week
    assert paid_on(date(2026, 10, 9)) == date(2026, 10, 10)  # a Saturday that is worked
    assert paid_on(date(2031, 1, 3)) == date(2031, 1, 6)


# --- the door ------------------------------------------------------------------------


def read(folder: Path) -> DemoFile:
    return msgspec.json.decode((folder / "demo.json").read_bytes(), type=DemoFile)


def test_the_file_is_for_its_owner_and_keeps_up_with_processes(tmp_path: Path) -> None:
    now = [Pids((1, 2), (3,), 4)]
    file = DemoFile("http://h", "h:8583", "url", {}, DemoPids([1, 2], 4), {}, [], [], [])
    with DemoDoor(tmp_path, file, lambda: now[0]):
        assert stat.S_IMODE((tmp_path / "demo.json").stat().st_mode) == 0o600
        assert read(tmp_path).pids == DemoPids([1, 2], 4)
        now[0] = Pids((1, 7), (3,), 8)
        until = time.monotonic() + 10
        while read(tmp_path).pids != DemoPids([1, 7], 8):
            assert time.monotonic() < until
    assert read(tmp_path).pids == DemoPids([], None)
    assert [found.name for found in tmp_path.iterdir()] == ["demo.json"]


# --- the report ----------------------------------------------------------------------


@pytest.fixture
def done() -> tuple[DayDone, Chain, Tally]:
    tally = Tally()
    tally.moved(Flow.LOADED, 0, 100_000)
    tally.moved(Flow.SPENT, 0, 12_345)
    tally.moved(Flow.REFUNDED, 1, 45)
    tally.paid(0, 19, 12_345, "barcode")
    tally.declined("insufficient_funds", "P-16")
    tally.labelled("stolen_card")
    tally.answered("pay", 5.0, 1)
    world = make_world(1, 2, 10)
    shops = [Shop(plan, f"sto_{plan.index}", "m", [], "s", "0") for plan in world.stores]
    chain = Chain(world, "com_1", {}, shops, [])
    figures = tally.new_day()
    day = DayDone(date(2026, 11, 20), figures, 5_000, 92_700, 12, 7, {})
    return day, chain, tally


TILL = TillDay("00000001", {"sales": 3, "reversals": 1}, {"lost": 2}, bent=True, settled=True)


def report_of(
    done: tuple[DayDone, Chain, Tally],
    *,
    holds: bool = True,
    till: TillDay = TILL,
    offline: OfflineHour = OFFLINE,
    channel: ChannelDay = CHANNEL,
    night: Night = NIGHT,
) -> DayReport:
    line = AuditLine("I-1", "All is well.", holds, ["cards 3"], [], [])
    channels = ChannelsDay([channel], "http://127.0.0.1:9100")
    after = AfterTheDay(TillsDay([till]), offline, channels, night)
    return day_report(*done, 10.0, after, Verdict(holds, [line]))


def test_a_stranger_can_read_it(
    done: tuple[DayDone, Chain, Tally], capsys: pytest.CaptureFixture[str]
) -> None:
    report = report_of(done)
    assert report.holds
    print_report(Console(width=80, highlight=False), report)
    text = capsys.readouterr().out
    for part in (
        "Friday 20 November 2026",
        "123.45",
        "too little on the card",
        "equal to the fen",
        "POS host (ISO 8583), today",
        "equal in till and host",
        "cards paid 165.00, their issuer lost 15.00",
        "Online banking of companies    12 100.0 %",
        "2026-11-21 closed by itself",
        "Heyue Bakeries and Cafes 5,332.10",
    ):
        assert part in text
    assert max(len(line) for line in text.splitlines()) <= 80
    assert msgspec.json.decode(msgspec.json.encode(report), type=DayReport) == report


def test_it_does_not_hold_when_anything_is_off(done: tuple[DayDone, Chain, Tally]) -> None:
    assert not report_of(done, holds=False).holds
    day, chain, tally = done
    off = msgspec.structs.replace(day, cards_fen=day.cards_fen + 1)
    assert not report_of((off, chain, tally)).holds
    assert not report_of(done, till=msgspec.structs.replace(TILL, settled=False)).holds
    assert not report_of(done, till=msgspec.structs.replace(TILL, defects=["wrong"])).holds
    for wrong in ({"paid_fen": 16_499}, {"refused_fen": 1}):
        assert not report_of(done, offline=msgspec.structs.replace(OFFLINE, **wrong)).holds
    assert not report_of(done, channel=msgspec.structs.replace(CHANNEL, confirmed=11)).holds
    for broken in (
        {"closed": False},
        {"bills": []},
        {"bills": [BillLine("bank", 12, 11, 1, "finished")]},
        {"payees": [Payee("Heyue Bakeries and Cafes", 533_209, 2, 1)]},
        {"disagreements": ["a figure and its slips"]},
    ):
        assert not report_of(done, night=msgspec.structs.replace(NIGHT, **broken)).holds
    tally.defect("something")
    assert not report_of((day, chain, tally)).holds


@pytest.mark.parametrize(
    ("fen", "text"), [(0, "0.00"), (5, "0.05"), (-5, "-0.05"), (123_456_789, "1,234,567.89")]
)
def test_yuan(fen: int, text: str) -> None:
    assert yuan(fen) == text


def test_bars_are_as_long_as_their_share() -> None:
    lengths = Counter({n: len(bar(n, 100)) for n in (0, 50, 100)})
    assert (lengths[0], lengths[50], lengths[100]) == (0, 18, 36)


# --- whose database it is ------------------------------------------------------------


def test_a_database_in_use_is_left_alone(database_url: str, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, database_url=database_url)
    stage = Stage(settings)
    with stage.database(replace=True):
        asyncio.run(stage.found())
    with (
        pytest.raises(KabaoError, match="This database is in use"),
        Stage(settings).database(replace=True),
    ):
        pass
