"""The till: sale, refund, void, inquiry, and what is done when no answer comes."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from kabao.till.journal import Journal
from kabao.till.model import (
    Answer,
    Begun,
    Ended,
    Entry,
    Line,
    Outcome,
    PendingError,
    Result,
    Settings,
    TermsError,
    UnreachableError,
    UploadRefusedError,
    Verb,
    is_final,
    result_of,
)
from kabao.till.offline import Queue, Refused, Sold
from kabao.till.terms import Signed, verified
from kabao.till.wire import NoAnswerError, Reply, Wire

UPLOAD_MAX = 50
"""Sales in one upload; the platform takes no more."""

_TOLD = ("sequence", "amount", "currency", "source", "grant", "reference", "cashier", "occurred_at")
"""What of a sale is uploaded."""

COMPACT_AT = 1_000
"""Entries in the journal from which on it is rewritten."""


class _UnknownError(Exception):
    """No final answer in time. `sent`: whether any try may have had its effect."""

    def __init__(self, *, sent: bool) -> None:
        super().__init__()
        self.sent = sent


PHONE_CODE = "phone_code"
"""The type of a source that only a till without a line reads."""


class Till:
    """One till, used by one thread.

    Opening it settles nothing by itself: call `settle` when the machine is up. What is
    still pending then is settled before the next sale in any case.
    """

    def __init__(
        self,
        settings: Settings,
        wire: Wire,
        journal: Journal[Entry],
        queue: Queue | None = None,
    ) -> None:
        """`queue`: given if this till may sell without a line (`fetch_terms`)."""
        self._settings, self._wire, self._journal = settings, wire, journal
        self._queue = queue
        self._dead = False
        """The last sale was made without a line: one try tells whether it is back."""
        self.uploaded: list[Line] = []
        """What became of offline sales, newest last; for the cashier's report. Yours to clear."""
        self._pending: dict[str, Begun] = {}
        self.last: Result | None = None
        """What became of the last request: after a power cut, whether it was approved."""
        for entry in journal.entries:
            self._note(entry)

    @property
    def pending(self) -> list[str]:
        """Keys of what is not settled, oldest first."""
        return list(self._pending)

    # Verbs

    def sale(
        self,
        amount_fen: int,
        source: Mapping[str, Any],
        *,
        reference: str,
        cashier: str | None = None,
        accept_partial: bool = False,
    ) -> Result:
        """Take `amount_fen` from a card. `source` as in `POST /v1/payments`.

        With a queue, a sale that reaches nobody is judged by the terms fetched before; one by
        a phone's code (`phone_code`) always is, since it says nothing to the platform online.
        Raises `PendingError` when something earlier cannot be settled now,
        `UploadRefusedError` when the platform does not take earlier offline sales.
        """
        if self._queue is not None and source.get("type") == PHONE_CODE:
            return self._sale_offline(amount_fen, source, reference, cashier, "")
        try:
            result = self._sale_online(
                amount_fen, source, reference, cashier, accept_partial=accept_partial
            )
        except PendingError:
            if self._queue is None:
                raise
            return self._sale_offline(amount_fen, source, reference, cashier, "")
        if self._queue is None or result.outcome not in {Outcome.UNREACHABLE, Outcome.PENDING}:
            return result
        return self._sale_offline(amount_fen, source, reference, cashier, result.key)

    def _sale_online(
        self,
        amount_fen: int,
        source: Mapping[str, Any],
        reference: str,
        cashier: str | None,
        *,
        accept_partial: bool,
    ) -> Result:
        self._must_settle()
        body = {
            "amount": amount_fen,
            "currency": self._settings.currency,
            "source": dict(source),
            "store": self._settings.store,
            "terminal": self._settings.terminal,
            "cashier": cashier,
            "reference": reference,
            "accept_partial": accept_partial,
        }
        begun = self._begin(Verb.SALE, "/v1/payments", "")
        try:
            return self._end(self._seek(begun, msgspec.json.encode(body)))
        except _UnknownError as unknown:
            if not unknown.sent:
                return self._end(Result(Outcome.UNREACHABLE, begun.key))
        return self._settle_one(begun, self._settings.reversal_s)

    def refund(
        self,
        payment: str,
        amount_fen: int,
        *,
        cashier: str | None = None,
        override: str | None = None,
    ) -> Result:
        """Give back so much of a payment. Raises `PendingError`."""
        body = self._at_till(cashier, override) | {"amount": amount_fen}
        return self._forward(Verb.REFUND, f"/v1/payments/{payment}/refunds", body)

    def void(
        self, payment: str, *, cashier: str | None = None, override: str | None = None
    ) -> Result:
        """Undo a payment whole, the same day. Raises `PendingError`."""
        body = self._at_till(cashier, override)
        return self._forward(Verb.VOID, f"/v1/payments/{payment}/void", body)

    def inquire(self, source: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a card is worth, or the problem that says why that is not told.

        Raises `UnreachableError` when no host answers.
        """
        body = msgspec.json.encode({"source": dict(source)})
        return self._read("POST", "/v1/balance-inquiries", body)

    def look(self, payment: str) -> Mapping[str, Any]:
        """A payment as the platform has it. Raises `UnreachableError`."""
        return self._read("GET", f"/v1/payments/{payment}", b"")

    def _sale_offline(
        self,
        amount_fen: int,
        source: Mapping[str, Any],
        reference: str,
        cashier: str | None,
        key: str,
    ) -> Result:
        assert self._queue is not None
        self._dead = True
        sold = self._queue.sell(amount_fen, source, reference, cashier)
        if isinstance(sold, Refused):
            return Result(Outcome.DECLINED, key, code=sold.code, rule="ruling 10")
        return Result(Outcome.OFFLINE, f"offline-{sold.sequence}", approved_fen=amount_fen)

    @property
    def waiting(self) -> list[Sold]:
        """What was sold without a line and is not uploaded, oldest first."""
        return list(self._queue.waiting) if self._queue is not None else []

    def fetch_terms(self) -> None:
        """Ask what may be sold if the line dies: every hour or so, while it is alive.

        The terms at hand stay when this raises: `PendingError`, `UnreachableError`,
        `UploadRefusedError`, or `TermsError` for what the platform has not signed.
        """
        assert self._queue is not None, "this till sells online only"
        self._must_settle()
        path = f"/v1/offline-terms?store={self._settings.store}&terminal={self._settings.terminal}"
        told = self._read("GET", path, b"")
        try:
            signed = msgspec.convert(told, Signed)
        except msgspec.ValidationError as other:
            raise TermsError(f"the answer holds no terms: {told.get('code')}") from other
        self._queue.take(verified(signed, self._settings, self._settings.platform_keys))

    def upload(self) -> list[Line]:
        """Hand in what was sold without a line, oldest first.

        What is pending goes first: a sale that was paid online in vain must be undone, or
        its card could not pay the same sale here. Raises `PendingError` while something is
        pending or when nobody answers, `UploadRefusedError`.
        """
        if self._pending:
            raise PendingError(f"{len(self._pending)} not settled")
        lines: list[Line] = []
        while self._queue is not None and self._queue.waiting:
            sales = self._queue.waiting[:UPLOAD_MAX]
            lines += self._upload(sales)
            self._queue.answered(sales[-1].sequence)
        self.uploaded += lines
        return lines

    def _upload(self, sales: Sequence[Sold]) -> Sequence[Line]:
        """One request. Its key is of its sales, though the platform knows each by its sequence."""
        body = msgspec.json.encode(
            {
                "store": self._settings.store,
                "terminal": self._settings.terminal,
                "sales": [{name: getattr(sold, name) for name in _TOLD} for sold in sales],
            }
        )
        first, last = sales[0].sequence, sales[-1].sequence
        key = f"offline-{self._settings.terminal}-{first}-{last}"
        try:
            _, answer = self._ask("/v1/offline-sales", body, key, self._patience_s, doubt=False)
        except _UnknownError:
            raise PendingError("offline sales are not uploaded") from None
        if answer.data is None:
            raise UploadRefusedError(answer.code or "refused")
        return answer.data

    def settle(self) -> list[Result]:
        """Settle what is pending, oldest first, and tell what became of it.

        Stops at the first that nobody answers, which is then `PENDING`.
        """
        results: list[Result] = []
        for begun in list(self._pending.values()):
            results.append(self._settle_one(begun, self._patience_s))
            if results[-1].outcome is Outcome.PENDING:
                break
        return results

    # The journal

    def _begin(self, verb: Verb, path: str, body: str) -> Begun:
        if len(self._journal.entries) >= COMPACT_AT:
            kept: list[Entry] = list(self._pending.values())
            self._journal.rewrite(kept + ([Ended(self.last)] if self.last else []))
        begun = Begun(secrets.token_hex(16), verb, path, body)
        self._store(begun)
        return begun

    def _end(self, result: Result) -> Result:
        self._store(Ended(result))
        return result

    def _store(self, entry: Entry) -> None:
        self._journal.append(entry)
        self._note(entry)

    def _note(self, entry: Entry) -> None:
        if isinstance(entry, Begun):
            self._pending[entry.key] = entry
        else:
            self._pending.pop(entry.result.key, None)
            self.last = entry.result

    # Settling

    @property
    def _patience_s(self) -> float:
        """How long the cashier waits for what is to be settled first."""
        return 0.0 if self._dead else self._settings.reversal_s

    def _must_settle(self) -> None:
        self.settle()
        self.upload()

    def _settle_one(self, begun: Begun, within_s: float) -> Result:
        """Undo a sale; carry a refund or void through."""
        if begun.verb is Verb.SALE:
            return self._reverse(begun, within_s)
        try:
            return self._end(self._seek(begun, begun.body.encode(), within_s, doubt=True))
        except _UnknownError:
            return Result(Outcome.PENDING, begun.key)

    def _reverse(self, begun: Begun, within_s: float) -> Result:
        """The reversal has a key made of the sale's: it too is one, however often it is sent."""
        body = msgspec.json.encode({"original": {"idempotency_key": begun.key}})
        try:
            status, answer = self._ask(
                "/v1/reversals", body, f"rev-{begun.key}", within_s, doubt=True
            )
        except _UnknownError:
            return Result(Outcome.PENDING, begun.key)
        if status >= 300:
            return self._end(
                Result(Outcome.UNRESOLVED, begun.key, code=answer.code, rule=answer.rule)
            )
        return self._end(Result(Outcome.REVERSED, begun.key, answer.id))

    def _forward(self, verb: Verb, path: str, body: Mapping[str, Any]) -> Result:
        self._must_settle()
        begun = self._begin(verb, path, msgspec.json.encode(body).decode())
        try:
            return self._end(self._seek(begun, begun.body.encode()))
        except _UnknownError as unknown:
            if not unknown.sent:
                return self._end(Result(Outcome.UNREACHABLE, begun.key))
            return Result(Outcome.PENDING, begun.key)

    # Asking

    def _seek(
        self, begun: Begun, body: bytes, within_s: float | None = None, *, doubt: bool = False
    ) -> Result:
        """The one outcome of a request. Raises `_UnknownError`."""
        patience_s = self._settings.patience_s if within_s is None else within_s
        status, answer = self._ask(begun.path, body, begun.key, patience_s, doubt=doubt)
        return result_of(begun.verb, begun.key, status, answer)

    def _ask(
        self, path: str, body: bytes, key: str, within_s: float, *, doubt: bool
    ) -> tuple[int, Answer]:
        """Repeat with one key, at one host after the other, until an answer is final.

        The repetition is the query: whoever was not told gets the first answer again.
        """
        for _ in self._tries(within_s):
            try:
                reply = self._wire.ask("POST", path, body, key)
            except UnreachableError:
                continue
            except NoAnswerError:
                doubt = True
                continue
            answer = _read(reply)
            self._dead = False
            if is_final(reply.status, answer, doubt=doubt):
                return reply.status, answer
            doubt = True
        raise _UnknownError(sent=doubt)

    def _read(self, method: str, path: str, body: bytes) -> Mapping[str, Any]:
        for _ in self._tries(self._settings.patience_s):
            try:
                reply = self._wire.ask(method, path, body)
            except (UnreachableError, NoAnswerError):
                continue
            if reply.status < 500:
                told: Mapping[str, Any] = msgspec.json.decode(reply.body)
                return told
        raise UnreachableError

    def _tries(self, within_s: float) -> Iterator[None]:
        """At least one try; then until the time is over, with growing pauses."""
        until = time.monotonic() + within_s
        pause_s = self._settings.pause_s
        while True:
            yield
            left_s = until - time.monotonic()
            if left_s <= 0:
                return
            time.sleep(min(pause_s, left_s))
            pause_s = min(pause_s * 2, self._settings.pause_max_s)

    def _at_till(self, cashier: str | None, override: str | None) -> dict[str, Any]:
        till: dict[str, Any] = {"terminal": self._settings.terminal, "cashier": cashier}
        return till if override is None else till | {"override": override}


def _read(reply: Reply) -> Answer:
    """What a till reads of an answer; nothing of one that is not ours (a proxy's page)."""
    try:
        return msgspec.json.decode(reply.body, type=Answer)
    except msgspec.DecodeError:
        return Answer()
