"""The port to our account at a bank."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import IO, Any

import msgspec

from kabao.adapters.bank import bill, meaning, payout, statement, table
from kabao.adapters.bank.batches import FILE_BYTES, XML, Batches
from kabao.adapters.bank.entries import Entry
from kabao.adapters.bank.payout import Holder, Payout
from kabao.adapters.bank.xml import NotReadableError
from kabao.adapters.bills import Billed
from kabao.adapters.blame import unsent
from kabao.adapters.envelope import NONCE, Envelope, Partner
from kabao.adapters.figures import local, yuan
from kabao.adapters.line import ANSWER_BYTES, OK, Answer, Line
from kabao.base.clock import Clock
from kabao.funding.model.answers import (
    BillFile,
    Capabilities,
    Closed,
    Created,
    Fetched,
    Incoming,
    NoBill,
    Notice,
    NotThere,
    Order,
    Payer,
    Queried,
    Refund,
    RefundAnswer,
    Refused,
    Rejected,
    Reply,
    Scene,
    Show,
    Unknown,
    Unreachable,
    Waiting,
    Why,
)
from kabao.funding.model.receipts import Receipts, ReceiptsAnswer, reference_of
from kabao.reconciliation.model.lines import BillReader, Expected

JSON = "application/json"

NO_ACCOUNT, NO_STATEMENT, NO_PAYMENT = "NO_ACCOUNT", "NO_STATEMENT", "NO_PAYMENT"
UNDECIDED = frozenset({"BUSY", "ACCOUNT_USED"})
_SERVER_FAILED = 500

CAPABILITIES = Capabilities(
    scenes=frozenset({Scene.TRANSFER}),
    no_credit=True,  # nobody transfers from a credit card
    closes=True,
    reverses_paid=frozenset(),
    notice_age_signed=True,
)


class Account(msgspec.Struct, frozen=True):
    """Our account at the bank."""

    partner: Partner
    holder: Holder
    """In our name, as payers see it."""
    bank_name: str
    prefix: str
    """What virtual accounts begin with; an order's reference follows."""
    tables: bool = False
    """The bank writes its statements as tables, not as camt.053."""


class Virtual(msgspec.Struct, frozen=True):
    """What the bank says of a virtual account."""

    account: str
    order: str
    state: str


class BankChannel(Billed):
    """Implements `kabao.funding.ports.PayChannel` and `Receives`; `batches` pays settlements."""

    capabilities = CAPABILITIES

    def __init__(self, line: Line, account: Account, clock: Clock, *, age_s: int) -> None:
        self._account, self._clock = account, clock
        self._envelope = Envelope(line, account.partner, clock, age_s=age_s)
        self.batches = Batches(self._envelope, account.holder)

    async def create(self, order: Order, payer: Payer) -> Created:
        """Open the order's virtual account, and show the payer where to transfer to."""
        del payer
        if order.scene not in CAPABILITIES.scenes:
            return unsent("scene_not_offered")
        ours, number = self._account, self._virtual(order)
        expires = local(order.expires_us, "%Y-%m-%dT%H:%M:%S+08:00")
        asked = {
            "account": number,
            "order": order.no,
            "amount": order.amount_fen,
            "expires": expires,
            "notify_url": order.notify_url,
        }
        virtual = await self._asked("POST", "/v1/virtual-accounts", asked)
        if isinstance(virtual, str):
            return Unknown(virtual) if virtual in UNDECIDED else Refused(virtual)
        if not isinstance(virtual, Virtual):
            return virtual
        if virtual.order != order.no or virtual.account != number:
            return Unknown("another account was opened")
        fields = {
            "account": number,
            "name": ours.holder.name,
            "bank": ours.bank_name,
            "bank_no": ours.holder.bank,
            "reference": reference_of(order.no),
            "amount": yuan(order.amount_fen),
        }
        return Waiting(Show.ACCOUNT, number, fields)

    async def query(self, order: Order) -> Queried:
        """Look for the order's sum: in its virtual account, and at the reference in ours."""
        number = self._virtual(order)
        virtual = await self._asked("GET", f"/v1/virtual-accounts?account={number}", None)
        if isinstance(virtual, str):
            return NotThere() if virtual == NO_ACCOUNT else Unknown(virtual)
        if not isinstance(virtual, Virtual):
            return virtual
        if virtual.order != order.no:
            return Unknown("the account is another order's")
        # What is asked last is no older than the state, so a closed account misses nothing.
        return await self._paid(order, closed=virtual.state == "CLOSED")

    async def close(self, order: Order) -> Queried:
        """Close the virtual account; what came before stays, and is told."""
        asked = {"account": self._virtual(order), "order": order.no}
        virtual = await self._asked("POST", "/v1/virtual-accounts/close", asked)
        if isinstance(virtual, str):
            return NotThere() if virtual == NO_ACCOUNT else Unknown(virtual)
        if not isinstance(virtual, Virtual):
            return virtual
        return await self._paid(order, closed=virtual.state == "CLOSED")

    async def refund(self, order: Order, refund: Refund) -> RefundAnswer:
        """Pay back to the account it came from, in the name it came from (CR-91)."""
        found = await self._entries(order)
        if not isinstance(found, tuple):
            return found
        came = next((one for one in found if one.came and one.no == refund.channel_no), None)
        if came is None or not came.party or not came.party_account:
            return Unknown("whom it came from is not told")
        one = Payout(
            no=refund.no,
            order_no=order.no,
            amount_fen=refund.amount_fen,
            created_us=refund.created_us,
            words=refund.reason,
            us=self._account.holder,
            to=Holder(came.party, came.party_account, came.party_bank),
        )
        return await self._payout(refund, "POST", "/v1/payments", payout.written(one))

    async def query_refund(self, order: Order, refund: Refund) -> RefundAnswer:
        """Ask what became of a payout."""
        del order  # its own number is enough
        return await self._payout(refund, "GET", f"/v1/payments?message={refund.no}", b"")

    def read(self, incoming: Incoming) -> Notice | Rejected:
        """Verify a notification: camt.054 with one entry."""
        why = self._envelope.distrust(incoming)
        if why is not None:
            return Rejected(why)
        try:
            found = statement.told(incoming.body, self._account.holder.account)
        except statement.OtherAccountError:
            return Rejected(Why.WRONG_MERCHANT)
        except NotReadableError:
            return Rejected(Why.UNREADABLE)
        if len(found) != 1 or not found[0].order_no:
            return Rejected(Why.UNREADABLE)  # money for no order is told by `receipts`
        return meaning.news(found[0], incoming.headers.get(NONCE, ""))

    def reply(self, *, taken: bool) -> Reply:
        """The bank repeats what is not answered by a status of success."""
        return Reply(200 if taken else 500, "text/plain", b"ok" if taken else b"failed")

    async def fetch_bill(self, day: date, into: IO[bytes]) -> BillFile:
        """The statement of a day."""
        target = f"/v1/statements?day={day}&format={'csv' if self._account.tables else 'camt'}"
        answer = await self._envelope.ask("GET", target, b"", most=FILE_BYTES, kind=XML)
        if not isinstance(answer, Answer):
            return answer
        if answer.status != OK:
            code = meaning.code_of(answer)
            return NoBill(code) if code == NO_STATEMENT else Unknown(code)
        into.write(answer.body)
        return Fetched()

    def bill_lines(self, file: IO[bytes], day: date) -> BillReader:
        """The lines of such a file. Money for no order has a line without an order's number."""
        ours = self._account
        reads = table.read if ours.tables else statement.read
        return bill.read(file, Expected(ours.holder.account, day), reads)

    async def receipts(self, day: date) -> ReceiptsAnswer:
        """What came on a day, so far, whoever it is for."""
        answer = await self._told(f"from={day}&to={day}")
        if not isinstance(answer, tuple):
            return answer
        came = (one for one in answer if one.came and not one.reversal)
        return Receipts(day, tuple(map(meaning.receipt, came)))

    async def _paid(self, order: Order, *, closed: bool) -> Queried:
        found = await self._entries(order)
        if not isinstance(found, tuple):
            return found
        mine = [one for one in found if one.came and not one.reversal]
        exact = [one for one in mine if one.amount_fen == order.amount_fen]
        if exact:
            back = any(meaning.undoes(one, exact[0], order) for one in found)
            return meaning.payment(exact[0], given_back=back)
        return Closed() if closed else Waiting()

    async def _entries(self, order: Order) -> tuple[Entry, ...] | Unreachable | Unknown:
        """What was booked for an order since it was made: by its account, number or reference."""
        since = local(order.created_us, "%Y-%m-%d")
        today = local(self._clock.now_us(), "%Y-%m-%d")
        found = await self._told(f"from={since}&to={today}")
        if not isinstance(found, tuple):
            return found
        reference = reference_of(order.no)
        return tuple(
            one
            for one in found
            if one.order_no == order.no or (not one.order_no and one.reference == reference)
        )

    async def _told(self, query: str) -> tuple[Entry, ...] | Unreachable | Unknown:
        target = f"/v1/notifications?{query}"
        answer = await self._envelope.ask("GET", target, b"", most=FILE_BYTES, kind=XML)
        if not isinstance(answer, Answer):
            return answer
        if answer.status != OK:
            return Unknown(f"HTTP {answer.status}")
        try:
            # A large document takes seconds, in which others want their turn.
            return await asyncio.to_thread(
                statement.told, answer.body, self._account.holder.account
            )
        except NotReadableError as wrong:
            return Unknown(str(wrong))

    async def _payout(self, refund: Refund, method: str, target: str, body: bytes) -> RefundAnswer:
        answer = await self._envelope.ask(method, target, body, most=ANSWER_BYTES, kind=XML)
        if not isinstance(answer, Answer):
            return answer
        if answer.status != OK:
            code = meaning.code_of(answer)
            return NotThere() if code == NO_PAYMENT else Unknown(code)
        try:
            status = payout.read(answer.body)
        except NotReadableError as wrong:
            return Unknown(str(wrong))
        if status.no != refund.no or status.amount_fen not in {None, refund.amount_fen}:
            return Unknown("another payout was told")
        return meaning.of_status(status, refund)

    async def _asked(
        self, method: str, target: str, asked: dict[str, Any] | None
    ) -> Virtual | str | Unreachable | Unknown:
        """What the bank says of a virtual account, or the code of its no."""
        body = b"" if asked is None else msgspec.json.encode(asked)
        answer = await self._envelope.ask(method, target, body, most=ANSWER_BYTES, kind=JSON)
        if not isinstance(answer, Answer):
            return answer
        if answer.status >= _SERVER_FAILED:
            return Unknown(f"HTTP {answer.status}")
        if answer.status != OK:
            return meaning.code_of(answer) or Unknown(f"HTTP {answer.status}")
        try:
            return msgspec.json.decode(answer.body, type=Virtual)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return Unknown("the answer cannot be read")

    def _virtual(self, order: Order) -> str:
        return self._account.prefix + reference_of(order.no)
