"""The port to a bank's gateway."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import IO, Any, TypeVar

import msgspec

from kabao.adapters.bills import Billed
from kabao.adapters.blame import unsent
from kabao.adapters.envelope import Envelope, form
from kabao.adapters.figures import local
from kabao.adapters.gateway import bill, notices, said
from kabao.adapters.gateway.products import BY_FORM, CAPABILITIES, Merchant
from kabao.adapters.gateway.said import Back, Problem, Trade
from kabao.adapters.line import ANSWER_BYTES, FILE_BYTES, OK, Answer, Line
from kabao.base.clock import Clock
from kabao.funding.model.answers import (
    BillFile,
    Capabilities,
    Created,
    Fetched,
    Incoming,
    NoBill,
    Notice,
    NotThere,
    Order,
    Paid,
    Payer,
    Queried,
    Refund,
    RefundAnswer,
    Refunded,
    Refused,
    Rejected,
    Reply,
    Scene,
    Show,
    Unknown,
    Unreachable,
    Waiting,
)
from kabao.reconciliation.model.lines import BillReader, Expected

NO_ORDER, NO_REFUND, NO_FILE = "ORDER_NOT_FOUND", "REFUND_NOT_FOUND", "NO_BILL"
UNDECIDED = frozenset({"BUSY", "ORDER_EXISTS", "ORDER_PAID", "ORDER_CLOSED"})
"""Problems after which only a query tells what became of the order."""

REFUND_FINAL = frozenset({"NOT_SO_MUCH_LEFT", "TOO_LATE"})
"""Problems of a refund that no repetition helps; all others are repeated with the same number."""

_SERVER_FAILED = 500
_T = TypeVar("_T")


class GatewayChannel(Billed):
    """Implements `kabao.funding.ports.PayChannel`.

    Args:
        line: to the gateway.
        merchant: our account there.
        clock: the time.
        age_s: how old an answer or a notification may be, by its signed moment.
    """

    def __init__(self, line: Line, merchant: Merchant, clock: Clock, *, age_s: int) -> None:
        self._line, self._merchant = line, merchant
        self._envelope = Envelope(line, merchant.partner, clock, age_s=age_s)

    @property
    def capabilities(self) -> Capabilities:
        """By what is behind the gateway."""
        return CAPABILITIES[self._merchant.product]

    async def create(self, order: Order, payer: Payer) -> Created:
        """Ask for the money. Online banking needs no question, only a signed form."""
        can, most_fen = self.capabilities, self._most_fen(payer)
        if order.scene not in can.scenes:
            return unsent("scene_not_offered")
        if order.no_credit and not can.no_credit:
            return unsent("no_credit_not_offered")
        if most_fen is None:
            return unsent("bank_not_offered")
        if order.amount_fen > most_fen:
            return unsent("bank_limit_exceeded")
        fields = self._fields(order, payer)
        if self._merchant.product in BY_FORM:
            return Waiting(Show.FORM, self._line.url("/pay"), form(self._merchant.partner, fields))
        trade = await self._ask("/v1/orders", Trade, fields | {"amount": order.amount_fen})
        if isinstance(trade, Problem):
            return _failed(trade, order.scene)
        return self._shown(order, trade) if isinstance(trade, Trade) else trade

    async def query(self, order: Order) -> Queried:
        """Ask what became of an order."""
        trade = await self._ask("/v1/orders/query", Trade, {"order": order.no})
        return self._about(order, trade)

    async def close(self, order: Order) -> Queried:
        """Close what is unpaid; where a code was scanned, what was paid goes back."""
        reverses = order.scene in self.capabilities.reverses_paid
        asked = {"order": order.no, "reverse": reverses}
        return self._about(order, await self._ask("/v1/orders/close", Trade, asked))

    async def refund(self, order: Order, refund: Refund) -> RefundAnswer:
        """Give back part or all. Most banks take it first; what became of it is asked."""
        asked = {
            "order": order.no,
            "number": refund.channel_no,
            "refund": refund.no,
            "amount": refund.amount_fen,
            "total": refund.order_fen,
            "reason": refund.reason,
        }
        back = await self._ask("/v1/refunds", Back, asked)
        if isinstance(back, Problem):
            final = back.code in REFUND_FINAL
            return Refused(back.code, back.text) if final else Unknown(back.code)
        return _about_refund(refund, back) if isinstance(back, Back) else back

    async def query_refund(self, order: Order, refund: Refund) -> RefundAnswer:
        """Ask what became of a refund."""
        asked = {"order": order.no, "refund": refund.no}
        back = await self._ask("/v1/refunds/query", Back, asked)
        if isinstance(back, Problem):
            missing = back.code in {NO_ORDER, NO_REFUND}
            return NotThere() if missing else Unknown(back.code)
        return _about_refund(refund, back) if isinstance(back, Back) else back

    def read(self, incoming: Incoming) -> Notice | Rejected:
        """Verify a notification."""
        return notices.read(incoming, self._merchant, self._envelope)

    def reply(self, *, taken: bool) -> Reply:
        """The gateway repeats what is not answered by a status of success."""
        body = b'{"code":"OK"}' if taken else b'{"code":"FAIL"}'
        return Reply(200 if taken else 500, "application/json", body)

    async def fetch_bill(self, day: date, into: IO[bytes]) -> BillFile:
        """The list of a day; it is signed like every answer."""
        target = f"/v1/bills?day={day.isoformat()}"
        answer = await self._envelope.ask("GET", target, b"", most=FILE_BYTES)
        if not isinstance(answer, Answer):
            return answer
        if answer.status == OK:
            into.write(answer.body)
            return Fetched()
        problem = _decoded(answer.body, Problem)
        missing = isinstance(problem, Problem) and problem.code == NO_FILE
        return NoBill(NO_FILE) if missing else Unknown(f"HTTP {answer.status}")

    def bill_lines(self, file: IO[bytes], day: date) -> BillReader:
        """The lines of such a file."""
        return bill.read(file, Expected(self._merchant.partner.merchant, day))

    async def _ask(
        self, target: str, kind: type[_T], asked: Mapping[str, Any]
    ) -> _T | Problem | Unreachable | Unknown:
        body = msgspec.json.encode(asked)
        answer = await self._envelope.ask("POST", target, body, most=ANSWER_BYTES)
        if not isinstance(answer, Answer):
            return answer
        if answer.status >= _SERVER_FAILED:
            return Unknown(f"HTTP {answer.status}")
        return _decoded(answer.body, kind if answer.status == OK else Problem)

    def _most_fen(self, payer: Payer) -> int | None:
        """The most the payer's bank takes at once; None for a bank that is not there."""
        banks = self._merchant.banks
        if not banks:
            return 1 << 62
        return max(banks.values()) if payer.bank is None else banks.get(payer.bank)

    def _fields(self, order: Order, payer: Payer) -> dict[str, Any]:
        fields = {
            "product": str(self._merchant.product),
            "order": order.no,
            "scene": str(order.scene),
            "amount": str(order.amount_fen),
            "currency": said.CNY,
            "subject": order.subject,
            "expires": local(order.expires_us, "%Y-%m-%dT%H:%M:%S+08:00"),
            "notify_url": order.notify_url,
            "return_url": order.return_url,
            "terminal": order.terminal,
            "debit_only": "yes" if order.no_credit else None,
            "bank": payer.bank,
            "code": payer.code if order.scene is Scene.CODE else None,
            "wallet": payer.openid if order.scene is Scene.APP else None,
        }
        return {name: value for name, value in fields.items() if value}

    def _shown(self, order: Order, trade: Trade) -> Created:
        found = self._about(order, trade)
        if isinstance(found, Waiting):
            if trade.qr:
                return Waiting(Show.QR, trade.qr)
            if trade.page:
                return Waiting(Show.REDIRECT, trade.page)
            return found  # asked in their wallet, or for a password: nothing is shown by us
        return found if isinstance(found, Paid | Refused | Unreachable) else Unknown("not waiting")

    def _about(self, order: Order, trade: Trade | Problem | Unreachable | Unknown) -> Queried:
        if isinstance(trade, Problem):
            return NotThere() if trade.code == NO_ORDER else Unknown(trade.code)
        if not isinstance(trade, Trade):
            return trade
        found = said.of_trade(trade)
        another = isinstance(found, Paid) and found.amount_fen != order.amount_fen
        if trade.order != order.no or another:
            return Unknown("another amount or order was told")
        return found


def _decoded(body: bytes, kind: type[_T]) -> _T | Unknown:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Unknown("the answer cannot be read")


def _failed(problem: Problem, scene: Scene) -> Refused | Unknown:
    """A problem when money was asked for: final, unless it says otherwise."""
    if problem.code in UNDECIDED or not problem.code:
        return Unknown(problem.code)
    return said.BLAME.refused(problem.code, problem.text, scene)


def _about_refund(refund: Refund, back: Back) -> Refunded | Waiting | Refused | Unknown:
    found = said.of_refund(back)
    another = isinstance(found, Refunded) and found.amount_fen != refund.amount_fen
    if back.refund != refund.no or another:
        return Unknown("another refund was told")
    return found
