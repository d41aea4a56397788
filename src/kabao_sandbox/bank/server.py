"""A bank's doors, as far as a merchant of ours uses them."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Annotated, Any

import msgspec

from kabao_sandbox.bank import camt, pain, table
from kabao_sandbox.bank.files import Files
from kabao_sandbox.bank.model import ACCOUNT, BANK, HOLDER, PREFIX, Booked, booked
from kabao_sandbox.party import bills, keys, moment
from kabao_sandbox.party.bills import Row
from kabao_sandbox.party.book import Back, Book, State, Trade
from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.envelope import Envelope
from kabao_sandbox.party.host import Host
from kabao_sandbox.party.http import Request, Response
from kabao_sandbox.party.moment import Now
from kabao_sandbox.party.notifier import Make, Message

MERCHANT, SERIAL = "C000000001", "7b10e2"
XML, JSON = "application/xml", "application/json"
DAYS_MAX = 366


class Transfer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody transfers something, to a virtual account or to the account itself."""

    amount: Annotated[int, msgspec.Meta(gt=0, le=10**13)]
    to: str = ACCOUNT
    words: str = ""
    name: str = "李四"


class ProblemError(Exception):
    """What the bank answers instead."""

    def __init__(self, code: str, status: int) -> None:
        super().__init__(code)
        self.code, self.status = code, status


class Bank:
    """A merchant's bank."""

    name, kind = "Bank", "bank"
    fee_ppm, cycle = 3_000, "T+1"  # T-09
    scenes: tuple[str, ...] = ("transfer",)
    recalls = True
    host: Host

    def __init__(self, now: Now, chance: Chance, new_key: keys.New = keys.new) -> None:
        self._now, self._chance = now, chance
        self.book = Book(now, chance, "", 19)
        self._envelope = Envelope(self.name, MERCHANT, SERIAL, now, new_key)
        self._virtual: dict[str, Trade] = {}
        self._strays: list[Row] = []
        self._payouts: dict[str, tuple[pain.Asked, str, str]] = {}
        """What was ordered, and what became of it, by message."""
        self.files = Files(now, self._number)

    def account(self) -> dict[str, Any]:
        """What a merchant needs."""
        return self._envelope.account() | {
            "account": ACCOUNT,
            "holder": HOLDER,
            "bank_no": BANK,
            "bank_name": "示范银行",
            "prefix": PREFIX,
        }

    def answer(self, request: Request) -> Response:
        """The merchant's doors."""
        if not self._envelope.is_merchants(request):
            return self._envelope.answer(request, 401, b'{"code":"BAD_SIGNATURE"}', JSON)
        try:
            body, kind = self._said(request)
        except ProblemError as problem:
            code = json.dumps({"code": problem.code}).encode()
            return self._envelope.answer(request, problem.status, code, JSON)
        except (KeyError, ValueError, TypeError):
            return self._envelope.answer(request, 400, b'{"code":"UNREADABLE"}', JSON)
        return self._envelope.answer(request, 200, body, kind)

    def _said(self, request: Request) -> tuple[bytes, str]:
        match request.method, request.path.removeprefix("/v1/"):
            case "POST", "virtual-accounts":
                return self._shown(self._open(json.loads(request.body))), JSON
            case "GET", "virtual-accounts":
                return self._shown(self._found(request.query["account"])), JSON
            case "POST", "virtual-accounts/close":
                trade = self._found(json.loads(request.body)["account"])
                if trade.state is State.WAITING:
                    trade.state = State.CLOSED
                return self._shown(trade), JSON
            case "GET", "notifications":
                return self._told(request), XML
            case "GET", "statements":
                return self._statement(request), XML
            case "POST", "payments":
                return self._pay_out(pain.read(request.body)), XML
            case "GET", "payments":
                return self._paid_out(request.query["message"]), XML
            case "POST", "payment-files":
                return self.files.take(request.body, self._balance_fen()), XML
            case "GET", "payment-files":
                return self._file_told(request.query["message"]), XML
        raise ProblemError("NO_SUCH_DOOR", 404)

    def _open(self, asked: dict[str, Any]) -> Trade:
        account, no = str(asked["account"]), str(asked["order"])
        known = self._virtual.get(account)
        if known is not None:
            if known.no != no:
                raise ProblemError("ACCOUNT_TAKEN", 409)
            if known.state is not State.WAITING:
                raise ProblemError("ACCOUNT_USED", 409)
            return known
        if not account.startswith(PREFIX):
            raise ProblemError("NOT_YOUR_PREFIX", 400)
        until = int(datetime.fromisoformat(asked["expires"]).timestamp()) * moment.US
        # Whatever comes is booked; the amount is what an honest payer transfers.
        trade = self.book.add(
            Trade(no, self._number(), "transfer", int(asked["amount"]), "转账",
                  str(asked["notify_url"]), self._now(), until, more={"virtual": account})
        )  # fmt: skip
        self._virtual[account] = trade
        return trade

    def _found(self, account: str) -> Trade:
        trade = self._virtual.get(account)
        if trade is None:
            raise ProblemError("NO_ACCOUNT", 404)
        return self.book.find(trade.no) or trade

    def _shown(self, trade: Trade) -> bytes:
        closed = trade.state is State.CLOSED
        said = {
            "account": trade.more["virtual"],
            "order": trade.no,
            "state": "CLOSED" if closed else "OPEN",
        }
        return json.dumps(said).encode()

    def _rows(self, day: date) -> list[Row]:
        strays = [row for row in self._strays if moment.day(row.at_us) == day]
        rows = bills.rows(self.book, day, self.fee_ppm) + strays
        return sorted(rows, key=lambda row: (row.at_us, row.number, row.refund_no))

    def _booked(self, rows: list[Row], day: date) -> list[Booked]:
        """A day's entries: those rows, and what files of payouts made."""
        files = [one for one in self.files.entries if moment.day(one.at_us) == day]
        return sorted([*booked(rows), *files], key=lambda one: (one.at_us, one.no))

    def _told(self, request: Request) -> bytes:
        first, last = (date.fromisoformat(request.query[name]) for name in ("from", "to"))
        if not 0 <= (last - first).days <= DAYS_MAX:
            raise ProblemError("UNREADABLE", 400)
        days = (first + timedelta(days=at) for at in range((last - first).days + 1))
        found = [one for day in days for one in self._booked(self._rows(day), day)]
        return camt.notification(found, self.book.number(), last)

    def _statement(self, request: Request) -> bytes:
        day = date.fromisoformat(request.query["day"])
        clean = self._rows(day)
        if not self._booked(clean, day):
            raise ProblemError("NO_STATEMENT", 404)
        rows, self.host.planted_last = bills.plant(clean, self.host.planted, self._chance)
        found, before = self._booked(rows, day), self._balance_fen(day)
        if request.query.get("format") == "csv":
            file = table.written(found, before, day)
        else:
            file = camt.statement(found, before, day, self.book.number())
        return file[: len(file) // 2] if self.host.planted.truncated else file

    def _balance_fen(self, until: date | None = None) -> int:
        """At the end of everything, or before a day."""
        every = (row.at_us for row in self._strays)
        times = [*every, *(trade.paid_us for trade in self.book if trade.paid_us)]
        times += [one.at_us for trade in self.book for one in trade.refunds.values()]
        days = {moment.day(us) for us in times}
        days |= {moment.day(one.at_us) for one in self.files.entries}
        before = [day for day in days if until is None or day < until]
        found = [one for day in before for one in self._booked(self._rows(day), day)]
        return sum(one.signed_fen for one in found)

    def _pay_out(self, asked: pain.Asked) -> bytes:
        """Each number is taken once, whatever became of it: asked again, it is a duplicate."""
        if asked.message in self._payouts:
            return pain.status(asked, "RJCT", "AM05", self._now())
        code, reason = "ACSC", ""
        if self.files.is_closed(asked.account):
            code, reason = "RJCT", "AC04"
        elif asked.amount_fen > self._balance_fen():
            code, reason = "RJCT", "AM04"  # not so much on the account
        else:
            self._book_payout(asked)
        self._payouts[asked.message] = (asked, code, reason)
        return pain.status(asked, code if reason else "ACSP", reason, self._now())

    def _book_payout(self, asked: pain.Asked) -> None:
        """It leaves. The order is the merchant's word for it; the bank shows it again."""
        trade, number = self.book.find(asked.order), self._number()
        if trade is not None:
            refund = self.book.refund(trade, asked.message, asked.amount_fen, number)
            if refund is not None:
                self.host.tell(trade, refund)
                return
        row = Row(asked.order, number, asked.amount_fen, 0, self._now(), "", asked.name,
                  asked.message, number)  # fmt: skip
        self._strays.append(row)
        if trade is not None:
            self.host.notifier.tell(self._make(trade, row), self.host.faults)

    def _paid_out(self, message: str) -> bytes:
        known = self._payouts.get(message)
        if known is None:
            raise ProblemError("NO_PAYMENT", 404)
        return pain.status(*known, self._now())

    def _file_told(self, message: str) -> bytes:
        known = self.files.told(message)
        if known is None:
            raise ProblemError("NO_FILE", 404)
        return known

    def at_desk(self, request: Request) -> Response | None:
        """`POST /transfers`: what somebody transfers, however wrong. And what `Files` knows."""
        if (request.method, request.path) != ("POST", "/transfers"):
            return self.files.at_desk(request)
        one = msgspec.json.decode(request.body, type=Transfer)
        trade = self._virtual.get(one.to)
        if trade is not None and (self.book.find(trade.no) or trade).state is State.CLOSED:
            return Response(409, b'{"error": "the account is closed: it goes back"}', JSON)
        if trade is not None and trade.state is State.WAITING:
            trade.subject, trade.amount_fen = one.words, one.amount
            self.host.pay(trade, one.name)
            return Response(200, json.dumps({"no": trade.number}).encode(), JSON)
        order, virtual = (trade.no, one.to) if trade else ("", "")
        fee = one.amount * self.fee_ppm // 1_000
        row = Row(order, self._number(), one.amount, fee, self._now(), one.words, one.name,
                  virtual=virtual)  # fmt: skip
        self._strays.append(row)
        if trade is not None:
            self.host.notifier.tell(self._make(trade, row), self.host.faults)
        return Response(200, json.dumps({"no": row.number}).encode(), JSON)

    def notice(self, trade: Trade, back: Back | None) -> Make:
        """Of a credit, of a payout, of money that is taken back."""
        fee_ppm = self.fee_ppm
        row = bills.came(trade, fee_ppm) if back is None else bills.went(trade, back, fee_ppm)
        return self._make(trade, row)

    def _make(self, trade: Trade, row: Row) -> Make:
        def make(*, forged: bool = False, wrong_amount: bool = False) -> Message:
            told = replace(row, amount_fen=row.amount_fen + 100) if wrong_amount else row
            body = camt.notification(booked([told]), self.book.number(), moment.day(self._now()))
            headers = self._envelope.notice(body, secrets.token_hex(16), XML, forged=forged)
            return Message(trade.notify_url, headers, body)

        return make

    def _number(self) -> str:
        return f"{moment.at(self._now()):%Y%m%d}{self.book.number():012d}"

    def taken(self, status: int, body: bytes) -> bool:
        """Status 200, whatever is said with it."""
        del body
        return status == 200
