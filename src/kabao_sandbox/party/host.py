"""A running party: its protocol at one port, and at another the desk that plays its people.

The desk is not part of any protocol. It shows what came in, lets a payer pay,
hands out codes, orders faults and errors in bills, and has the merchant's keys.
"""

from __future__ import annotations

import asyncio
import html
import json
from collections import deque
from typing import Any, Protocol, runtime_checkable

import msgspec

from kabao_sandbox.party.bills import Planted
from kabao_sandbox.party.book import Back, Book, State, Trade
from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.faults import Faults
from kabao_sandbox.party.http import Request, Response, Server
from kabao_sandbox.party.notifier import Make, Notifier

SEEN_MAX = 200


class Taken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a payer takes back."""

    amount: int = 0
    """In fen; 0 for all of it."""


class Party(Protocol):
    """One party's protocol."""

    name: str
    kind: str
    """Which protocol it speaks."""
    scenes: tuple[str, ...]
    """How its payers can be met: page, qr, code, app, transfer, terminal."""
    fee_ppm: int
    """What it takes of each payment, in millionths."""
    cycle: str
    """When the money is the merchant's: T+0, T+1, D+3."""
    recalls: bool
    """Whether its payers can take a payment back (charge-back)."""
    book: Book
    host: Host

    def answer(self, request: Request) -> Response:
        """What it says to a request."""
        ...

    def notice(self, trade: Trade, back: Back | None) -> Make:
        """How it tells of a payment, or of money that went or is taken back."""
        ...

    def taken(self, status: int, body: bytes) -> bool:
        """Whether that answer to a notification ends it."""
        ...

    def account(self) -> dict[str, Any]:
        """What a merchant needs to speak with it."""
        ...


@runtime_checkable
class OwnDesk(Protocol):
    """A party whose people do what no other party's do."""

    def at_desk(self, request: Request) -> Response | None:
        """What its desk does besides; None for what it does not know."""
        ...


class Host:
    """Starts and stops a party, and does wrong what was asked for."""

    def __init__(self, party: Party, chance: Chance) -> None:
        self.party, self.chance = party, chance
        self.faults, self.planted = Faults(), Planted()
        self.planted_last: dict[str, list[str]] = {}
        self.notifier = Notifier(party.taken, chance)
        self._door, self._desk = Server(self._answer), Server(self._at_desk)
        self._seen: deque[str] = deque(maxlen=SEEN_MAX)
        self._down: asyncio.Task[None] | None = None
        party.host = self

    async def start(self, port: int = 0, desk: int = 0) -> None:
        """Open both ports."""
        await self._door.start(port)
        await self._desk.start(desk)

    async def stop(self) -> None:
        """Close both, and tell no more."""
        if self._down is not None:
            self._down.cancel()
        await self.notifier.close()
        await self._door.stop()
        await self._desk.stop()

    @property
    def url(self) -> str:
        """Where the protocol is spoken."""
        return f"http://127.0.0.1:{self._door.port}"

    @property
    def desk_url(self) -> str:
        """Where the desk is."""
        return f"http://127.0.0.1:{self._desk.port}"

    def account(self) -> dict[str, Any]:
        """What a merchant needs, and where."""
        return self.party.account() | {"url": self.url}

    def order(self, faults: Faults) -> None:
        """Other faults, from now on. A party that was down comes back unless it is to be down."""
        self.faults, before = faults, self._down
        if before is not None:
            before.cancel()
        if before is not None or faults.down_s:
            self._down = asyncio.create_task(self._be_down(faults.down_s))

    def pay(self, trade: Trade, payer: str = "") -> bool:
        """A payer pays an order; whether they could. The merchant is told."""
        done = self.party.book.pay(trade, payer or f"payer-{trade.no}", self.faults.success)
        if done:
            self.tell(trade)
        return done

    def tell(self, trade: Trade, back: Back | None = None) -> None:
        """Tell the merchant."""
        if trade.notify_url:
            self.notifier.tell(self.party.notice(trade, back), self.faults)

    def recall(self, trade: Trade, amount_fen: int) -> bool:
        """A payer takes money back; whether there was so much. The merchant is told."""
        if not self.party.recalls:
            return False
        recall = self.party.book.recall(trade, amount_fen, "fraud")
        if recall is not None:
            self.tell(trade, recall)
        return recall is not None

    async def _be_down(self, seconds: float) -> None:
        if seconds:
            await self._door.stop()
            await asyncio.sleep(seconds)
        if not self._door.is_open:
            await self._door.start()

    async def _answer(self, request: Request) -> Response | None:
        response = self.party.answer(request)
        self._seen.appendleft(f"{request.method} {request.path} {response.status}")
        if self.faults.delay_ms:
            await asyncio.sleep(self.faults.delay_ms / 1000)
        return None if self.chance.uniform(0, 100) < self.faults.lose else response

    async def _at_desk(self, request: Request) -> Response:
        try:
            return self._desk_answer(request)
        except (msgspec.MsgspecError, json.JSONDecodeError) as wrong:
            return _json({"error": str(wrong)}, 400)

    def _desk_answer(self, request: Request) -> Response:
        match request.method, request.path.strip("/").split("/"):
            case "GET", [""]:
                return Response(200, self._page().encode(), "text/html; charset=utf-8")
            case "GET", ["faults"]:
                return _json(msgspec.to_builtins(self.faults))
            case "PUT", ["faults"]:
                self.order(msgspec.json.decode(request.body, type=Faults))
                return _json(msgspec.to_builtins(self.faults))
            case "PUT", ["bill-errors"]:
                self.planted = msgspec.json.decode(request.body, type=Planted)
                return _json(msgspec.to_builtins(self.planted))
            case "GET", ["bill-errors"]:
                return _json(self.planted_last)
            case "GET", ["account"]:
                return _json(self.account())
            case "POST", ["codes"]:
                password = bool(json.loads(request.body or b"{}").get("password"))
                return _json({"code": self.party.book.new_code(password=password)})
            case "GET", ["orders"]:
                return _json([shown(trade) for trade in self.party.book])
            case "POST", ["orders", no, verb]:
                return self._order_at_desk(no, verb, request)
        done = self.party.at_desk(request) if isinstance(self.party, OwnDesk) else None
        return done or _json({"error": "the desk knows no such thing"}, 404)

    def _order_at_desk(self, no: str, verb: str, request: Request) -> Response:
        trade = self.party.book.find(no)
        if trade is not None and verb == "pay" and trade.state is State.WAITING:
            return _json({"paid": self.pay(trade)} | shown(trade))
        if trade is not None and verb == "recall":
            data = msgspec.json.decode(request.body or b"{}", type=Taken)
            if self.recall(trade, data.amount or trade.amount_fen):
                return _json(shown(trade))
        return _json({"error": "no such order waits, or is paid"}, 404)

    def _page(self) -> str:
        seen = "\n".join(html.escape(line) for line in self._seen)
        faults = {name: set_ for name, set_ in msgspec.to_builtins(self.faults).items() if set_}
        orders = "\n".join(html.escape(json.dumps(shown(trade))) for trade in self.party.book)
        return (
            f"<!doctype html><title>{self.party.name}</title><h1>{self.party.name} (sandbox)</h1>"
            f"<p>Notifications: {self.notifier.sent} sent, {self.notifier.delivered} taken. "
            f"Faults: <code>{html.escape(json.dumps(faults))}</code></p>"
            f"<h2>Orders</h2><pre>{orders}</pre><h2>Requests, newest first</h2><pre>{seen}</pre>"
        )


def shown(trade: Trade) -> dict[str, Any]:
    """An order for people and scripts."""
    return {
        "no": trade.no,
        "number": trade.number,
        "scene": trade.scene,
        "amount": trade.amount_fen,
        "state": trade.state,
        "refunded": trade.refunded_fen,
    }


def _json(data: Any, status: int = 200) -> Response:
    return Response(status, json.dumps(data).encode(), "application/json")
