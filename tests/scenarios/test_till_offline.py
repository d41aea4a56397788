"""A till whose line is dead sells on what it was told before, and nothing more (ruling 10)."""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from kabao.till import (
    Journal,
    Outcome,
    PendingError,
    Queue,
    QueueEntry,
    Settings,
    TermsError,
    Till,
    UploadRefusedError,
    Wire,
)
from kabao.till.model import Entry
from kabao.till.terms import Signed, verified

from .line import Line
from .site import KABAO, Site
from .test_offline_sales import Phone, offline
from .till_process import KEY
from .world import Actors, Card, everywhere

CAPS = {"offline__card_max_fen": 1_000, "offline__terminal_max_fen": 2_500}


class Clock:
    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead  # noqa: TID251 -- a till's clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def line(site: Site) -> Iterator[Line]:
    with Line(site.port, site.journal) as made:
        yield made


@pytest.fixture
async def store(actors: Actors) -> dict[str, str]:
    """A store of this test's own: its cards are those that shopped here."""
    group = actors.world.founded.group
    name = f"corner-{secrets.token_hex(3)}"
    made = await actors.operator.made("/v1/stores", {"company": group, "name": name, "code": name})
    till = await actors.operator.made("/v1/terminals", {"store": made["id"], "model": "X1"})
    return {"store": made["id"], "terminal": till["id"]}


@pytest.fixture
def disk() -> ExitStack:
    """What a till that is on holds open."""
    return ExitStack()


@pytest.fixture
def off(disk: ExitStack) -> Callable[[], None]:
    """Switches the till off, so that another process may have its disk."""
    return disk.close


@cache
def platform_key(site: Site) -> bytes:
    """As `kabao receipt key` prints it."""
    environment = site._environment()
    run = subprocess.run(
        [KABAO, "receipt", "key"], env=environment, capture_output=True, text=True, check=True
    )
    return bytes.fromhex(run.stdout.strip())


@pytest.fixture
def switch_on(
    site: Site,
    line: Line,
    clock: Clock,
    store: dict[str, str],
    tmp_path: Path,
    disk: ExitStack,
) -> Iterator[Callable[[], Till]]:
    """The same machine with the same disk, every time anew."""
    with disk:

        def again() -> Till:
            disk.close()
            keys = (platform_key(site),)
            settings = Settings(
                **store, patience_s=0.1, reversal_s=0.1, pause_s=0.01, platform_keys=keys
            )
            journal: Journal[Entry] = Journal(tmp_path / "journal", KEY, Entry)
            disk.callback(journal.close)
            queue: Journal[QueueEntry] = Journal(tmp_path / "queue", KEY, QueueEntry)
            disk.callback(queue.close)
            wire = Wire([line.url], site.world.keys["merchant"], connect_s=0.5)
            return Till(settings, wire, journal, Queue(queue, clock))

        yield again


async def customers(actors: Actors, store: dict[str, str], count: int) -> list[Card]:
    """Cards that paid in the store once, and hold 9,999 fen."""
    own = await offline(actors, **CAPS)
    cards = [await actors.card(10_000, programme=own) for _ in range(count)]
    for card in cards:
        await actors.paid(card, 1, cashier=None, **store)
    return cards


async def sell(till: Till, card: Card, amount: int, reference: str = "r") -> Any:
    return await asyncio.to_thread(till.sale, amount, card.by_barcode, reference=reference)


async def reported(actors: Actors, store: dict[str, str]) -> list[Any]:
    today = datetime.now(UTC).date()  # noqa: TID251 -- outside
    days = {"first": str(today - timedelta(1)), "last": str(today + timedelta(1))}
    page = await actors.auditor.got("/v1/reports/offline-sales", limit=200, **days)
    return [line for line in page["data"] if line["terminal"] == store["terminal"]]


@pytest.mark.row("P-20")
async def test_a_phone_pays_at_a_till_whose_line_is_dead(
    actors: Actors,
    line: Line,
    store: dict[str, str],
    clock: Clock,
    switch_on: Callable[[], Till],
) -> None:
    cards = await customers(actors, store, 2)
    phone, second = [await Phone().enrol(actors, card) for card in cards]
    till = switch_on()
    await asyncio.to_thread(till.fetch_terms)
    line.then = "cut"

    async def by(shown: dict[str, str], amount: int) -> tuple[str, str | None]:
        result = await asyncio.to_thread(till.sale, amount, shown, reference="r")
        return result.outcome, result.code

    moment = clock()
    assert await by(phone.shown(moment, second.private), 700) == ("declined", "phone_code_over")
    old = moment - timedelta(seconds=66)
    assert await by(phone.shown(old), 700) == ("declined", "phone_code_over")
    stranger = Phone()
    stranger.id = "0" * 32
    assert await by(stranger.shown(moment), 1) == ("declined", "card_not_known_offline")
    assert await by(phone.shown(moment), 700) == ("offline", None)
    assert await by(phone.shown(clock()), 1) == ("declined", "card_sold_before")
    till = switch_on()
    assert await by(second.shown(clock()), 1_001) == ("declined", "over_card_cap")
    assert await by(second.shown(clock()), 1_000) == ("offline", None)
    line.then = "ok"
    done = await asyncio.to_thread(till.upload)
    assert [(one.paid, one.reason) for one in done] == [(700, None), (1_000, None)]


@pytest.mark.row("P-20")
async def test_an_offline_day(
    actors: Actors,
    site: Site,
    line: Line,
    store: dict[str, str],
    switch_on: Callable[[], Till],
) -> None:
    """Caps hold at the limit and one fen over; a power cut, a lost answer: one effect."""
    cards = await customers(actors, store, 4)
    stranger = await actors.card(10_000)
    till = switch_on()
    await asyncio.to_thread(till.fetch_terms)
    line.then = "cut"
    told = [
        await sell(till, cards[0], 1_001),
        await sell(till, cards[0], 1_000),
        await sell(till, cards[0], 1),
        await sell(till, stranger, 1),
        await sell(till, cards[1], 1_000),
        await sell(till, cards[2], 501),
    ]
    till = switch_on()
    told += [await sell(till, cards[2], 500), await sell(till, cards[3], 1)]
    assert [(r.outcome, r.code) for r in told] == [
        ("declined", "over_card_cap"),
        ("offline", None),
        ("declined", "card_sold_before"),
        ("declined", "card_not_known_offline"),
        ("offline", None),
        ("declined", "over_terminal_cap"),
        ("offline", None),
        ("declined", "over_terminal_cap"),
    ]
    # Meanwhile the first card was emptied elsewhere: the issuer bears what is missing.
    await actors.paid(cards[0], 9_700)
    with pytest.raises(PendingError):
        await asyncio.to_thread(till.upload)
    line.then, line.faults = "ok", ["lost"] * 20
    with pytest.raises(PendingError):
        await asyncio.to_thread(till.upload)
    line.faults, till = [], switch_on()
    line.seen.clear()
    assert (await sell(till, cards[3], 2)).outcome is Outcome.APPROVED
    assert [first.split()[1] for first in line.seen] == [
        "/v1/reversals",
        "/v1/offline-sales",
        "/v1/payments",
    ]
    assert [(u.paid, u.lost, u.refused) for u in till.uploaded] == [
        (299, 701, 0),
        (1_000, 0, 0),
        (500, 0, 0),
    ]
    assert [(await actors.see(card))["balance"] for card in cards] == [0, 8_999, 9_499, 9_997]
    assert [each["lost"] for each in await reported(actors, store)] == [701, 0, 0]
    assert await asyncio.to_thread(till.upload) == []


@pytest.mark.row("P-20")
async def test_without_terms_or_after_their_time_nothing_is_sold(
    actors: Actors, line: Line, clock: Clock, store: dict[str, str], switch_on: Callable[[], Till]
) -> None:
    (card,) = await customers(actors, store, 1)
    till = switch_on()
    line.then = "cut"
    assert (await sell(till, card, 1)).code == "offline_not_allowed"
    line.then = "ok"
    await asyncio.to_thread(till.settle)
    await asyncio.to_thread(till.fetch_terms)
    line.then, clock.ahead = "cut", timedelta(hours=4, seconds=1)
    assert (await sell(till, card, 1)).code == "offline_not_allowed"


@pytest.mark.row("P-20")
async def test_what_is_stopped_or_empty_or_not_allowed_is_not_in_the_terms(
    actors: Actors, store: dict[str, str]
) -> None:
    frozen, empty, sold, good = await customers(actors, store, 4)
    await actors.operator.made(f"/v1/cards/{frozen.id}/freeze", {"reason": "risk"})
    await actors.paid(empty, 9_999)
    plain = await actors.card(10_000)
    await actors.paid(plain, 1, cashier=None, **store)
    poor = (await customers(actors, store, 1))[0]
    await actors.paid(poor, 9_399)
    told = await actors.merchant.got("/v1/offline-terms", **store)
    terms = json.loads(told["document"])
    assert sorted(card["most"] for card in terms["cards"].values()) == [600, 1_000, 1_000]
    assert (terms["terminal_max"], terms["terminal_count"]) == (2_500, 20)
    assert sold.number not in str(told)
    assert good.number not in str(told)


@pytest.mark.row("P-20")
async def test_terms_are_the_platforms_and_this_tills(
    actors: Actors, site: Site, store: dict[str, str], switch_on: Callable[[], Till]
) -> None:
    """Whoever changes a limit, a card or a time has no signature for it."""
    await customers(actors, store, 1)
    told = Signed(**await actors.merchant.got("/v1/offline-terms", **store))
    own, keys = Settings(**store), [platform_key(site)]
    terms = verified(told, own, keys)
    assert terms.terminal_max == 2_500
    assert terms.valid_until - terms.taken_at == timedelta(hours=4)
    more = told.document.replace('"terminal_max":2500', '"terminal_max":2501')
    assert more != told.document
    north = site.world.north
    for signed, settings, trusted in (
        (Signed(more, told.signature, told.key), own, keys),
        (Signed(told.document, "00" * 64, told.key), own, keys),
        (Signed(told.document, "no hex", told.key), own, keys),
        (told, own, []),
        (told, own, [bytes(64)]),
        (told, Settings(north.id, north.terminal), keys),
    ):
        with pytest.raises(TermsError):
            verified(signed, settings, trusted)


@pytest.mark.row("P-20")
async def test_a_clock_set_back_sells_nothing(
    actors: Actors, line: Line, clock: Clock, store: dict[str, str], switch_on: Callable[[], Till]
) -> None:
    first, second = await customers(actors, store, 2)
    till = switch_on()
    await asyncio.to_thread(till.fetch_terms)
    line.then, clock.ahead = "cut", timedelta(hours=3)
    assert (await sell(till, first, 1)).outcome is Outcome.OFFLINE
    clock.ahead = timedelta(hours=2)
    assert (await sell(till, second, 1)).code == "clock_set_back"


@pytest.mark.row("P-20")
async def test_a_till_whose_upload_is_refused_sells_nothing(
    actors: Actors, site: Site, line: Line, store: dict[str, str], switch_on: Callable[[], Till]
) -> None:
    """The line is alive and the platform says no: that is nobody's leave to sell offline."""
    first, second = await customers(actors, store, 2)
    till = switch_on()
    await asyncio.to_thread(till.fetch_terms)
    line.then = "cut"
    assert (await sell(till, first, 1)).outcome is Outcome.OFFLINE
    await actors.operator.made(f"/v1/terminals/{store['terminal']}/block", {})
    http = site.http()
    await site.spread(http, 4)
    await everywhere(
        lambda: Actors(http, site.world).merchant.get("/v1/offline-terms", **store),
        lambda reply: reply.code == "terminal_not_active",
    )
    await http.close()
    line.then = "ok"
    with pytest.raises(UploadRefusedError) as refused:
        await sell(till, second, 1)
    assert refused.value.code == "terminal_not_active"
    assert len(till.waiting) == 1


@pytest.mark.row("P-17", "P-20")
@pytest.mark.parametrize("paid", [True, False])
async def test_sold_online_in_vain_and_then_without_a_line_is_paid_once(
    actors: Actors, line: Line, store: dict[str, str], switch_on: Callable[[], Till], paid: bool
) -> None:
    """The online try was paid, or not, and nobody heard: it is undone before the upload."""
    (card,) = await customers(actors, store, 1)
    till = switch_on()
    await asyncio.to_thread(till.fetch_terms)
    line.faults, line.then = ["lost" if paid else "cut"], "cut"
    assert (await sell(till, card, 400)).outcome is Outcome.OFFLINE
    line.then = "ok"
    with pytest.raises(PendingError):
        await asyncio.to_thread(till.upload)
    assert line.seen[-1].split()[1] != "/v1/offline-sales"
    await asyncio.to_thread(till.settle)
    (told,) = await asyncio.to_thread(till.upload)
    assert (told.paid, told.lost, told.refused) == (400, 0, 0)
    assert (await actors.see(card))["balance"] == 9_599


def start(
    site: Site, line: Line, store: dict[str, str], folder: Path, **more: Any
) -> subprocess.Popen[bytes]:
    told = store | {
        "journal": str(folder / "journal"),
        "queue": str(folder / "queue"),
        "hosts": [line.url],
        "api_key": site.world.keys["merchant"],
        "patience_s": 0.0,
        "reversal_s": 0.0,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "tests.scenarios.till_process", json.dumps(told | more)]
    )


@pytest.mark.row("P-20")
@pytest.mark.parametrize("when", ["sold", "uploaded"])
async def test_a_power_cut_without_a_line(
    actors: Actors,
    site: Site,
    line: Line,
    store: dict[str, str],
    tmp_path: Path,
    switch_on: Callable[[], Till],
    off: Callable[[], None],
    when: str,
) -> None:
    """`kill -9` as soon as the sale is in the queue, or between the booking of its upload
    and the answer: it is uploaded when the power is back, and paid once.
    """
    (card,) = await customers(actors, store, 1)
    till = switch_on()
    await asyncio.to_thread(till.fetch_terms)
    line.then = "cut"
    if when == "sold":
        off()
        queue = tmp_path / "queue"
        before = queue.stat().st_size
        process = start(site, line, store, tmp_path, amount=300, source=card.by_barcode)
        async with asyncio.timeout(60):
            while queue.stat().st_size == before:  # noqa: ASYNC110 - a process of its own
                await asyncio.sleep(0.001)
        process.kill()
    else:
        assert (await sell(till, card, 300)).outcome is Outcome.OFFLINE
        off()
        line.then = "ok"
        process = start(site, line, store, tmp_path, upload=True)
        line.after = process.kill
    await asyncio.to_thread(process.wait, 30)
    line.after, line.then = lambda: None, "ok"
    till = switch_on()
    assert [sold.amount for sold in till.waiting] == [300]
    await asyncio.to_thread(till.settle)
    (told,) = await asyncio.to_thread(till.upload)
    assert (told.paid, till.waiting) == (300, [])
    assert (await actors.see(card))["balance"] == 9_699
    assert [each["paid"] for each in await reported(actors, store)] == [300]


@pytest.mark.row("P-19", "P-20")
@pytest.mark.parametrize("count", [5, pytest.param(20, marks=pytest.mark.proof)])
async def test_offline_days_on_a_bad_line(
    actors: Actors, line: Line, store: dict[str, str], switch_on: Callable[[], Till], count: int
) -> None:
    """So many times the line dies and comes back badly: every card has paid exactly what its
    customer was told, and caps hold in every outage.
    """
    own = await offline(actors, offline__card_max_fen=1_000)
    spent: dict[Card, int] = {}
    for _ in range(count):
        card = await actors.card(10_001, programme=own)
        await actors.paid(card, 1, cashier=None, **store)
        spent[card] = 0
        line.faults, line.then = [], "ok"
        till = switch_on()
        await asyncio.to_thread(till.settle)
        await asyncio.to_thread(till.fetch_terms)
        line.faults = [secrets.choice(("lost", "cut")) for _ in range(3)]
        line.then = "cut"
        over = 1_000 + secrets.randbelow(2)
        for amount in (over, 1):
            result = await sell(till, card, amount)
            assert result.approved_fen in {0, amount}
            spent[card] += result.approved_fen
        assert spent[card] == (1_000 if over == 1_000 else 1)
        line.then = "ok"
        line.faults = [secrets.choice(("ok", "lost", "twice", "cut")) for _ in range(4)]
    line.faults, till = [], switch_on()
    await asyncio.to_thread(till.settle)
    await asyncio.to_thread(till.upload)
    assert [(await actors.see(card))["balance"] for card in spent] == [
        10_000 - fen for fen in spent.values()
    ]
    total = sum(each["paid"] for each in await reported(actors, store))
    assert total == sum(spent.values())
