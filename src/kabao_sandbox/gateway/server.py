"""A bank's gateway, as far as a merchant of ours uses it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from kabao_sandbox.gateway import bill, pages
from kabao_sandbox.gateway.products import Product
from kabao_sandbox.party import bills, keys, moment
from kabao_sandbox.party.book import Back, Book, Recall, Refund, State, Trade
from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.envelope import Envelope
from kabao_sandbox.party.host import Host
from kabao_sandbox.party.http import Request, Response
from kabao_sandbox.party.moment import Now
from kabao_sandbox.party.notifier import Make, Message

MERCHANT, SERIAL = "105110000000001", "4f2c9a"
CODE_DIGITS = 19


class ProblemError(Exception):
    """What the gateway answers instead."""

    def __init__(self, code: str, status: int = 400) -> None:
        super().__init__(code)
        self.code, self.status = code, status


class Gateway:
    """A merchant's gateway to one bank's product."""

    host: Host

    def __init__(
        self, product: Product, now: Now, chance: Chance, new_key: keys.New = keys.new
    ) -> None:
        self.product, self.name, self.kind = product, product.name, product.code
        self.fee_ppm, self.cycle = product.fee_ppm, product.cycle
        self.scenes, self.recalls = product.scenes, product.recalls
        self._now, self._chance = now, chance
        self.book = Book(now, chance, product.code_prefix, CODE_DIGITS)
        self._envelope = Envelope(self.name, MERCHANT, SERIAL, now, new_key)
        self._doors: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "/v1/orders": self._create,
            "/v1/orders/query": lambda asked: self._shown(self._found(asked)),
            "/v1/orders/close": self._close,
            "/v1/refunds": self._refund,
            "/v1/refunds/query": self._query_refund,
        }

    def account(self) -> dict[str, Any]:
        """What a merchant needs."""
        product = {"product": self.product.code, "banks": self.product.banks}
        return self._envelope.account() | product

    def answer(self, request: Request) -> Response:
        """The merchant's doors, and the payers'."""
        if request.path == "/pay" or request.path.startswith("/pay/"):
            return self._page(request)
        if not self._envelope.is_merchants(request):
            return self._signed(request, 401, b'{"code":"BAD_SIGNATURE"}')
        try:
            if request.path == "/v1/bills":
                return self._signed(request, 200, self._bill(request), "text/plain")
            door = self._doors.get(request.path)
            if door is None:
                raise ProblemError("NO_SUCH_DOOR", 404)
            said = door(json.loads(request.body))
        except ProblemError as problem:
            return self._signed(request, problem.status, _json({"code": problem.code}))
        except (KeyError, ValueError, TypeError):
            return self._signed(request, 400, b'{"code":"UNREADABLE"}')
        return self._signed(request, 200, _json(said))

    def _signed(
        self, request: Request, status: int, body: bytes, kind: str = "application/json"
    ) -> Response:
        return self._envelope.answer(request, status, body, kind)

    def _page(self, request: Request) -> Response:
        """An order brought by a browser; looked at; paid."""
        if request.path == "/pay":
            fields = request.form
            if not self.product.by_form or not self._envelope.is_merchants_form(fields):
                return pages.refused("The merchant's signature is wrong.")
            try:
                return pages.asked(self.name, self._open(fields))
            except (ProblemError, KeyError, ValueError) as wrong:
                return pages.refused(str(wrong))
        trade = self.book.find(request.path.removeprefix("/pay/"))
        if trade is None:
            return pages.refused("There is no such order.")
        if request.method == "GET":
            return pages.asked(self.name, trade)
        self.host.pay(trade)
        return pages.done(trade)

    def _open(self, asked: dict[str, Any]) -> Trade:
        no, amount_fen = str(asked["order"]), int(asked["amount"])
        scene = asked["scene"]
        if scene not in self.product.scenes or asked["currency"] != "CNY" or amount_fen <= 0:
            raise ProblemError("UNREADABLE")
        bank, banks = asked.get("bank", ""), self.product.banks
        if bank and amount_fen > banks.get(bank, 0):
            raise ProblemError("BANK_LIMIT")
        known = self.book.find(no)
        if known is not None:
            if known.amount_fen != amount_fen:
                raise ProblemError("ORDER_EXISTS")
            if known.state is not State.WAITING:
                raise ProblemError(f"ORDER_{known.state.upper()}")
            return known
        now_us = self._now()
        number = f"{moment.at(now_us):%Y%m%d}{self.book.number():012d}"
        more = {"return_url": str(asked.get("return_url", "")), "bank": str(bank)}
        return self.book.add(
            Trade(no, number, str(scene), amount_fen, str(asked["subject"]),
                  str(asked["notify_url"]), now_us, _us(str(asked["expires"])), more=more)
        )  # fmt: skip

    def _create(self, asked: dict[str, Any]) -> dict[str, Any]:
        if self.product.by_form:
            raise ProblemError("BY_FORM_ONLY")
        password: bool | None = True
        if asked["scene"] == "code" and self.book.find(asked["order"]) is None:
            password = self.book.take_code(asked["code"])
            if password is None:
                raise ProblemError("CODE_INVALID")
        trade = self._open(asked)
        if not password and not self.host.pay(trade):
            raise ProblemError("NOT_ENOUGH")
        said = self._shown(trade)
        if trade.scene == "qr":
            said["qr"] = f"https://ecny.example/{trade.number}"
        if trade.scene == "page":
            said["page"] = f"{self.host.url}/pay/{trade.no}"
        return said

    def _found(self, asked: dict[str, Any]) -> Trade:
        trade = self.book.find(str(asked["order"]))
        if trade is None:
            raise ProblemError("ORDER_NOT_FOUND", 404)
        return trade

    def _close(self, asked: dict[str, Any]) -> dict[str, Any]:
        trade = self._found(asked)
        if trade.state is State.PAID and asked["reverse"]:
            left = trade.amount_fen - trade.refunded_fen
            self.book.refund(trade, f"reverse-{trade.no}", left, self._number())
            trade.state = State.CLOSED
        if trade.state is State.WAITING:
            trade.state = State.CLOSED
        return self._shown(trade)

    def _refund(self, asked: dict[str, Any]) -> dict[str, Any]:
        trade, no = self._found(asked), str(asked["refund"])
        if asked["number"] != trade.number:
            raise ProblemError("ORDER_NOT_FOUND", 404)
        if self.book.short:
            raise ProblemError("NOT_ENOUGH_ON_ACCOUNT")
        again = no in trade.refunds
        refund = self.book.refund(trade, no, int(asked["amount"]), self._number())
        if refund is None or int(asked["total"]) != trade.amount_fen:
            raise ProblemError("NOT_SO_MUCH_LEFT")
        if not again:
            self.host.tell(trade, refund)
        state = "DONE" if again or self.product.at_once else "UNDER_WAY"
        return _shown_refund(trade, refund) | {"state": state}

    def _query_refund(self, asked: dict[str, Any]) -> dict[str, Any]:
        trade = self._found(asked)
        refund = trade.refunds.get(str(asked["refund"]))
        if refund is None:
            raise ProblemError("REFUND_NOT_FOUND", 404)
        return _shown_refund(trade, refund)

    def _number(self) -> str:
        return f"{moment.at(self._now()):%Y%m%d}{self.book.number():012d}"

    def _bill(self, request: Request) -> bytes:
        day = date.fromisoformat(request.query["day"])
        clean = bills.rows(self.book, day, self.fee_ppm)
        if not clean:
            raise ProblemError("NO_BILL", 404)
        rows, self.host.planted_last = bills.plant(clean, self.host.planted, self._chance)
        file = bill.written(rows, day, MERCHANT)
        return file[: len(file) // 2] if self.host.planted.truncated else file

    def _shown(self, trade: Trade, *, more_fen: int = 0) -> dict[str, Any]:
        said: dict[str, Any] = {
            "order": trade.no,
            "state": trade.state.upper(),
            "amount": trade.amount_fen + more_fen,
            "currency": "CNY",
        }
        if trade.paid_us:
            said |= {
                "number": trade.number,
                "paid_at": moment.at(trade.paid_us).isoformat(timespec="seconds"),
                "payer": trade.payer,
                "funds": trade.more.get("bank") or self.product.code,
                "given_back": trade.refunded_fen,
            }
        return said

    def notice(self, trade: Trade, back: Back | None) -> Make:
        """Of a payment, of money given back, or taken back."""

        def make(*, forged: bool = False, wrong_amount: bool = False) -> Message:
            said: dict[str, Any] = {
                "merchant": MERCHANT,
                "product": self.product.code,
                "order": trade.no,
            }
            match back:
                case None:
                    shown = self._shown(trade, more_fen=100 if wrong_amount else 0)
                    said |= {"kind": "PAYMENT", "trade": shown | {"state": "PAID"}}
                case Refund():
                    said |= {"kind": "REFUND", "refund": _shown_refund(trade, back)}
                case Recall():
                    said |= {"kind": "RECALL", "recall": _shown_recall(trade, back)}
            body, nonce = _json(said), secrets.token_hex(16)
            headers = self._envelope.notice(body, nonce, "application/json", forged=forged)
            return Message(trade.notify_url, headers, body)

        return make

    def taken(self, status: int, body: bytes) -> bool:
        """Status 200, whatever is said with it."""
        del body
        return status == 200


def _shown_refund(trade: Trade, refund: Refund) -> dict[str, Any]:
    return {
        "refund": refund.no,
        "order": trade.no,
        "state": "DONE",
        "amount": refund.amount_fen,
    }


def _shown_recall(trade: Trade, recall: Recall) -> dict[str, Any]:
    return {
        "recall": recall.number,
        "number": trade.number,
        "amount": recall.amount_fen,
        "reason": recall.reason,
    }


def _json(said: Any) -> bytes:
    return json.dumps(said, ensure_ascii=False).encode()


def _us(rfc3339: str) -> int:
    return int(datetime.fromisoformat(rfc3339).timestamp()) * moment.US
