"""The demo's night: what channels say of a day is compared with the books, stores are paid.

Everything is asked for as a finance office would, over HTTP, and the bank and the channels
are the sandbox's. One account is closed at the bank, so that money comes back once.
"""

from __future__ import annotations

import asyncio
import time
from datetime import date, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import msgspec

from kabao.app.channel_world import World
from kabao.app.demo_http import Office
from kabao.base.tasks import pause
from kabao.clearing.model.calendar import Workdays
from kabao.simulation.chain import Chain, Keys

PATIENCE_S, LOOK_S = 90.0, 0.25
ONE = timedelta(days=1)
FOLDER = "demo-night"
"""In the data folder: the report, the journal and the stores' statements."""

BANK = "102100099996"
REPORT = ("html", "json", *(("pdf",) if find_spec("typst") else ()))


class BillLine(msgspec.Struct, frozen=True):
    """What came of a channel's bill."""

    channel: str
    lines: int
    paired: int
    breaks: int
    state: str


class StoreLine(msgspec.Struct, frozen=True):
    """A store's settlements of two windows, to the evening before and to that of the day. Fen."""

    store: str
    redeemed: int
    given_back: int
    fees: int
    cash: int
    net: int


class Payee(msgspec.Struct, frozen=True):
    """What a company was paid, in fen, in how many payouts; and how many of them came back."""

    company: str
    amount: int
    payouts: int
    back: int


class Night(msgspec.Struct, frozen=True):
    """The night after a day."""

    day: date
    closed: bool
    paid_on: date
    bills: list[BillLine]
    stores: list[StoreLine]
    payees: list[Payee]
    slips: int
    """Transfers behind the settlements, fetched one by one."""
    disagreements: list[str]
    files: list[str]

    @property
    def holds(self) -> bool:
        """Whether everything agrees, and everybody who was owed was paid."""
        paid = sum(payee.amount for payee in self.payees) == sum(s.net for s in self.stores)
        bills = all(not bill.breaks for bill in self.bills)
        return self.closed and paid and bills and bool(self.bills) and not self.disagreements


def workdays_for(day: date) -> Workdays:
    """The published calendar; a year that is not published yet is worked as its weekdays say."""
    published = Workdays()
    years = {day.year, day.year + 1}
    return Workdays(declared=frozenset(year for year in years if not published.knows(year)))


def paid_on(day: date) -> date:
    """When stores are paid what a day's window came to (C-03: T+1)."""
    return workdays_for(day).after(day, 1)


class NightOffice:
    """The people of finance. One for each step: the platform starts anew in between."""

    def __init__(self, http: str, keys: Keys, chain: Chain, world: World, day: date) -> None:
        self._http, self._keys, self._chain, self._day = http, keys, chain, day
        self._desk = next(p.desk for p in world.parties if p.party == "bank")
        self._client = httpx.AsyncClient(timeout=PATIENCE_S)
        self._office = Office(self._client, http, keys)

    async def __aenter__(self) -> NightOffice:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    # The day before the night

    async def prepare(self) -> None:
        """Where companies are paid; and the first one's account is closed, at its bank."""
        unknown = sorted(workdays_for(self._day).declared)
        if unknown:
            said = {"years": unknown, "reason": "not published yet: as weekdays say"}
            await self._office.agreed("workdays", said)
        payees = await self._payees()
        for n, company in enumerate(payees):
            await self._account(company, f"62220000{n:08}")
        if payees:
            await self._bank("closed", "6222000000000000")

    async def _payees(self) -> list[dict[str, Any]]:
        """Companies that are owed by the issuer: those whose stores are not its own."""
        found = (await self._office.get("companies", limit=200))["data"]
        return [company for company in found if company["id"] != self._chain.company]

    async def _account(self, company: dict[str, Any], number: str) -> None:
        body = {
            "company": company["id"],
            "name": company["name"],
            "account": number,
            "bank": BANK,
            "reason": "demo",
        }
        await self._office.agreed("settlement-accounts", body)

    async def _bank(self, does: str, account: str) -> None:
        answer = await self._client.put(f"{self._desk}/payees/{account}", json={"does": does})
        answer.raise_for_status()

    async def deposit(self) -> None:
        """Stores bring their cash to the bank, each bag under its own reference."""
        for shop in self._chain.shops:
            cash = await self._cash(shop.id)
            if cash <= 0:
                continue
            body = {"store": shop.id, "amount": cash, "company": self._chain.company}
            bag = await self._office.post("deposits", body)
            said = {"to": "", "amount": cash, "words": bag["reference"], "name": shop.plan.name}
            (await self._client.post(f"{self._desk}/transfers", json=said)).raise_for_status()

    async def _cash(self, store: str) -> int:
        found = await self._office.get("ledger/accounts", owner=store, account="cash")
        return int(found["data"][0]["balance"])

    # The next morning

    async def closed(self) -> bool:
        """Wait until the bills were compared and the day is closed for good."""
        return await self._until(self._is_closed)

    async def _is_closed(self) -> bool:
        answer = await self._client.get(
            f"{self._http}/v1/clearing-days/{self._day}",
            headers={"Authorization": f"Bearer {self._keys.operator}"},
        )
        return answer.is_success and answer.json()["day"]["status"] == "hard_closed"

    # The workday it is paid on

    async def pay(self) -> list[Payee]:
        """Release what is due, mend the account that was closed, and pay that again."""
        payees = await self._payees()
        await self._release()
        await self._until(self._is_answered)
        if payees:
            await self._account(payees[0], "6222000099999999")
            await self._release()
            await self._until(self._is_answered)
        return await self._paid({one["id"]: one["name"] for one in payees})

    async def _release(self) -> None:
        body = {"company": self._chain.company, "reason": "demo"}
        await self._office.agreed("payout-releases", body)

    async def _is_answered(self) -> bool:
        return all(one["status"] in {"paid", "rejected", "returned"} for one in await self._all())

    async def _all(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self._office.get("payouts", limit=200))["data"]
        return found

    async def _paid(self, names: dict[str, str]) -> list[Payee]:
        every: dict[str, list[dict[str, Any]]] = {}
        for one in await self._all():
            every.setdefault(one["payee_company"], []).append(one)
        return [
            Payee(
                names[company],
                sum(one["amount"] for one in payouts if one["status"] == "paid"),
                len(payouts),
                sum(1 for one in payouts if one["status"] != "paid"),
            )
            for company, payouts in sorted(every.items(), key=lambda each: names[each[0]])
        ]

    async def looked_at(self, folder: Path, payees: list[Payee], *, closed: bool) -> Night:
        """Read it all back: bills, settlements and the slips behind them; write the files."""
        settlements = [
            one
            for day in (self._day - ONE, self._day)
            for one in (await self._office.get("settlements", day=day, limit=200))["data"]
        ]
        slips, wrong = await self._drilled(settlements)
        names = {shop.id: shop.plan.name for shop in self._chain.shops}
        return Night(
            day=self._day,
            closed=closed,
            paid_on=paid_on(self._day),
            bills=await self._bills(),
            stores=[_store(names[store], settlements, store) for store in names],
            payees=payees,
            slips=slips,
            disagreements=wrong,
            files=await self._files(folder, settlements),
        )

    async def _bills(self) -> list[BillLine]:
        channels = {c["id"]: c["name"] for c in (await self._office.get("channels"))["data"]}
        runs = (await self._office.get("reconciliations", day=self._day, limit=200))["data"]
        return [
            BillLine(
                channels.get(run["subject"], run["source"]),
                run["lines"],
                run["pairs"],
                run["breaks"],
                run["status"],
            )
            for run in runs
        ]

    async def _drilled(self, settlements: list[dict[str, Any]]) -> tuple[int, list[str]]:
        """Every figure against the sum of its slips."""
        count, wrong = 0, []
        for one in settlements:
            for figure, expected in (
                ("redemptions", one["redeemed"] - one["given_back"]),
                ("cash", one["cash"]),
            ):
                found = await self._slips(one["id"], figure)
                count += len(found)
                total = sum(slip["amount"] for slip in found)
                if total != expected:
                    wrong.append(f"{one['id']}: {figure} {expected}, its slips {total}")
        return count, wrong

    async def _slips(self, settlement: str, figure: str) -> list[dict[str, Any]]:
        path, query = f"settlements/{settlement}/transfers", {"figure": figure, "limit": 200}
        page = await self._office.get(path, **query)
        found: list[dict[str, Any]] = page["data"]
        while page["next_cursor"] is not None:
            page = await self._office.get(path, **query, cursor=page["next_cursor"])
            found += page["data"]
        return found

    async def _files(self, folder: Path, settlements: list[dict[str, Any]]) -> list[str]:
        wanted = []
        for day in (self._day - ONE, self._day):
            path = f"reports/days/{day}"
            wanted += [(path, {"format": form}, f"report-{day}.{form}") for form in REPORT]
            wanted.append((f"{path}/journal", {"format": "csv"}, f"journal-{day}.csv"))
        for n, one in enumerate(settlements, 1):
            for form, suffix in (("csv", "csv"), ("camt053", "xml")):
                path = f"settlements/{one['id']}/statement"
                wanted.append((path, {"format": form}, f"statement-{n:02}.{suffix}"))
        fetched = {name: await self._office.file(path, **query) for path, query, name in wanted}
        return await asyncio.to_thread(_write, folder, fetched)

    async def _until(self, wish: Any) -> bool:
        """Look until it is so; False when it takes too long."""
        begun = time.monotonic()
        while not await wish():
            if time.monotonic() - begun > PATIENCE_S:
                return False
            await pause(LOOK_S)
        return True


def _store(name: str, settlements: list[dict[str, Any]], store: str) -> StoreLine:
    """What a store's windows came to together."""
    own = [one for one in settlements if one["store"] == store]
    figures = {
        figure: sum(one[figure] for one in own)
        for figure in ("redeemed", "given_back", "fees", "fees_returned", "cash", "amount")
    }
    return StoreLine(
        name,
        figures["redeemed"],
        figures["given_back"],
        figures["fees"] - figures["fees_returned"],
        figures["cash"],
        figures["amount"],
    )


def _write(folder: Path, files: dict[str, bytes]) -> list[str]:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [str(folder / name) for name in files]


async def turned(world: World, us: int) -> None:
    """Let the world's clock go on from a moment."""
    async with asyncio.timeout(PATIENCE_S), httpx.AsyncClient() as client:
        answer = await client.put(f"{world.desk}/clock/run", content=msgspec.json.encode(us))
        answer.raise_for_status()
