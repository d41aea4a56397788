"""An acquirer's door for files, and the desk at which cards are put into its terminals."""

from __future__ import annotations

import json
from datetime import date
from typing import Annotated, Any

import msgspec

from kabao_sandbox.acquirer import bill
from kabao_sandbox.party import bills, keys, moment
from kabao_sandbox.party.book import Back, Book, Trade
from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.envelope import Envelope
from kabao_sandbox.party.host import Host
from kabao_sandbox.party.http import Request, Response
from kabao_sandbox.party.moment import Now
from kabao_sandbox.party.notifier import Make, Message

MERCHANT, SERIAL = "898110153110001", "5d20aa"
TERMINALS = ("10000001", "10000002")
DAY_US = 86_400 * moment.US


class Sale(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A card is put in."""

    amount: Annotated[int, msgspec.Meta(gt=0, le=10**12)]
    terminal: str = TERMINALS[0]


class GivenBack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same card again, to get money back."""

    amount: Annotated[int, msgspec.Meta(gt=0, le=10**12)]


class Acquirer:
    """A merchant's acquirer."""

    name, kind = "Acquirer", "acquirer"
    fee_ppm, cycle = 6_000, "T+1"
    scenes: tuple[str, ...] = ("terminal",)
    recalls = False
    host: Host

    def __init__(self, now: Now, chance: Chance, new_key: keys.New = keys.new) -> None:
        self._now, self._chance = now, chance
        self.book = Book(now, chance, "", 12)
        self._envelope = Envelope(self.name, MERCHANT, SERIAL, now, new_key)

    def account(self) -> dict[str, Any]:
        """What a merchant needs."""
        return self._envelope.account() | {"terminals": list(TERMINALS)}

    def answer(self, request: Request) -> Response:
        """The file of a day."""
        if not self._envelope.is_merchants(request):
            return self._envelope.answer(request, 401, b"", "text/plain")
        try:
            day = date.fromisoformat(request.query["day"])
        except (KeyError, ValueError):
            return self._envelope.answer(request, 400, b"", "text/plain")
        clean = bills.rows(self.book, day, self.fee_ppm)
        if request.path != "/v1/files" or not clean:
            return self._envelope.answer(request, 404, b"", "text/plain")
        rows, self.host.planted_last = bills.plant(clean, self.host.planted, self._chance)
        file = bill.written(rows, MERCHANT, day)
        if self.host.planted.truncated:
            file = file[: len(file) // 2]
        return self._envelope.answer(request, 200, file, "text/csv")

    def at_desk(self, request: Request) -> Response | None:
        """`POST /sales`: a card is charged. `POST /sales/{reference}/refund`: money goes back."""
        match request.method, request.path.strip("/").split("/"):
            case "POST", ["sales"]:
                return self._sold(msgspec.json.decode(request.body, type=Sale))
            case "POST", ["sales", no, "refund"]:
                trade = self.book.find(no)
                one = msgspec.json.decode(request.body, type=GivenBack)
                number = f"{self.book.number():012d}"
                back = trade and self.book.refund(trade, number, one.amount, number)
                done = {"reference": number} if back else {"error": "not so much there"}
                return Response(200 if back else 409, json.dumps(done).encode())
        return None

    def _sold(self, sale: Sale) -> Response:
        if sale.terminal not in TERMINALS:
            return Response(404, b'{"error": "no such terminal"}')
        reference = f"{self.book.number():012d}"
        auth_code = "".join(self._chance.choices("0123456789", k=6))
        now_us = self._now()
        trade = self.book.add(
            Trade(reference, f"{sale.terminal}-{reference}-{auth_code}", "terminal", sale.amount,
                  "消费", "", now_us, now_us + DAY_US)
        )  # fmt: skip
        if not self.host.pay(trade):
            return Response(402, b'{"error": "not enough on the card"}')
        slip = {"terminal": sale.terminal, "reference": reference, "auth_code": auth_code}
        return Response(200, json.dumps(slip).encode(), "application/json")

    def notice(self, trade: Trade, back: Back | None) -> Make:
        """It tells nobody: no sale has an address to be told at."""
        del back

        def make(*, forged: bool = False, wrong_amount: bool = False) -> Message:
            del forged, wrong_amount
            return Message(trade.notify_url, {}, b"")

        return make

    def taken(self, status: int, body: bytes) -> bool:
        """Whatever is said."""
        del status, body
        return True
