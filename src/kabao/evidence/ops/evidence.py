"""The log of receipts: sign what is new, prove what is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from hmac import compare_digest

from psycopg.errors import UniqueViolation

from kabao.base import outbox
from kabao.base.clock import Clock, now, rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND, KabaoError
from kabao.base.ids import from_edge
from kabao.base.outbox import Written
from kabao.evidence import merkle, sql
from kabao.evidence.derive import Dealt, Part
from kabao.evidence.model import (
    BOOKS_DIFFER,
    CODE_DIGITS,
    GENESIS,
    NO_RECEIPT,
    Head,
    Leaf,
    Proof,
    Proven,
    Receipt,
    SignedHead,
    op_of,
)
from kabao.evidence.ops.books import Books
from kabao.payments.ops import Payments
from kabao.vault.ops import Vault, sm3

READER = "evidence"
PAGE = 1_000
"""Events read at a time; with it the largest tree is bounded."""

PAGES_AT_ONCE = 20
"""How many pages one run of the job signs; the rest comes half a second later."""

ONE_DAY = timedelta(days=1)
EDGES = frozenset({"pay", "top", "ref", "rev"})
"""Prefixes of ids that are an operation's own."""


class Evidence:
    """Receipts, their digests and codes, and the signed log of them."""

    def __init__(
        self, db: Database, vault: Vault, books: Books, payments: Payments, clock: Clock
    ) -> None:
        self._db, self._vault, self._books = db, vault, books
        self._payments, self._clock = payments, clock

    # Signing

    async def sign(self) -> int:
        """Sign what has happened since the last time; for the job. Returns how many receipts."""
        signed = 0
        for _ in range(PAGES_AT_ONCE):
            page = await self._sign_page()
            if page is None:
                break
            signed += page
        return signed

    async def _sign_page(self) -> int | None:
        """Sign a page of events; None when there was none, or somebody else has it."""
        try:
            async with self._db.transaction() as conn:
                page = await outbox.read(conn, READER, PAGE)
                if not page:
                    return None
                count = await self._append(conn, await self._dealt(conn, page))
                await outbox.advance(conn, READER, page[-1])
                return count
        except UniqueViolation:
            return None

    async def _dealt(self, conn: Conn, page: Sequence[Written]) -> list[Dealt]:
        """What the payments and top-ups of these events did."""
        roots, payments, topups = set(), set(), set()
        for event in page:
            payment, topup = _named(event, "payment"), _named(event, "topup")
            if event.root is not None and (payment or topup):
                roots.add(event.root)
            if payment:
                payments.add(payment)
            if topup:
                topups.add(topup)
        if not roots:
            return []
        first: date = min(event.recorded_at for event in page).date()
        # A business day begins up to a day before or after the date in UTC.
        return await self._books.of_subjects(conn, roots, payments, topups, first - ONE_DAY)

    async def _append(self, conn: Conn, dealt: Sequence[Dealt]) -> int:
        """Grow the log by a tree of what is not yet in it."""
        known = await sql.known(conn, [one.op for one in dealt])
        fresh = [one for one in dealt if one.op not in known]
        if not fresh:
            return 0
        leaves = [
            Leaf(one.op, one.subject.id, one.subject.topup, merkle.leaf(one.receipt.lines()))
            for one in fresh
        ]
        last = await sql.last_tree(conn)
        head = Head(
            no=last.no + 1 if last else 1,
            leaves=len(leaves),
            root=merkle.root([leaf.digest for leaf in leaves]).hex(),
            previous=(head_digest(_signed(last).head) if last else GENESIS).hex(),
            signed_at=rfc3339(self._clock.now_us()),
            key=self._vault.signature_version,
        )
        await sql.insert_tree(conn, self._sign_head(head))
        await sql.insert_leaves(conn, head.no, leaves)
        return len(leaves)

    def _sign_head(self, head: Head) -> sql.Tree:
        signature = self._vault.sign(head.lines())
        assert signature.key == head.key, "the key changed between two lines"
        return sql.Tree(
            no=head.no,
            leaves=head.leaves,
            root=bytes.fromhex(head.root),
            previous=bytes.fromhex(head.previous),
            signed_at=datetime.fromisoformat(head.signed_at),
            key=head.key,
            public_key=self._vault.public_key(head.key),
            signature=signature.value,
        )

    # Reading

    async def find(self, asked: str) -> Dealt:
        """The receipt of `pay_…`, `top_…`, `ref_…`, `rev_…` or a serial.

        Raises `receipt_not_found`, `serial_mistyped`. Takes connections of the
        pool: never call it inside a transaction.
        """
        prefix, _, _ = asked.partition("_")
        op = from_edge(prefix, asked) if prefix in EDGES else op_of(asked)
        found = await self._of_operation(op)
        if found is None and prefix not in EDGES and await self.sign():
            # A void or capture of a moment ago: only the log knows whose it is.
            found = await self._of_operation(op)
        if found is None:
            raise NO_RECEIPT.error(field="receipt")
        return found

    async def _of_operation(self, op: str) -> Dealt | None:
        async with self._db.read() as conn:
            leaf = (await sql.known(conn, [op])).get(op)
            if leaf is not None and leaf.topup:
                dealt = await self._books.of_topup(conn, leaf.subject)
            elif leaf is not None:
                dealt = await self._books.of_payment(conn, leaf.subject)
            else:
                dealt = await self._of_unsigned(conn, op)
        return next((one for one in dealt if one.op == op), None)

    async def _of_unsigned(self, conn: Conn, op: str) -> list[Dealt]:
        """A payment's or top-up's operation has its id; a refund and a reversal have a row."""
        payment = await self._payments.payment_of(conn, op) or op
        for read in (self._books.of_payment, self._books.of_topup):
            try:
                return await read(conn, payment)
            except KabaoError as unknown:
                if unknown.code is not NOT_FOUND:
                    raise
        return []

    async def of_subject(
        self, conn: Conn, payment: str | None, topup: str | None, part: Part
    ) -> list[Dealt]:
        """Receipts of a payment or of a top-up, oldest first. Raises `not_found`."""
        if payment is not None:
            return await self._books.of_payment(conn, payment, part)
        assert topup is not None, "one of them is asked for"
        return await self._books.of_topup(conn, topup, part)

    async def proven(self, conn: Conn, dealt: Dealt) -> Proven:
        """The receipt with its digest and, once it is signed, its proof.

        Raises `receipt_differs_from_books` when the books no longer give what
        was signed.
        """
        digest = merkle.leaf(dealt.receipt.lines())
        leaf = (await sql.known(conn, [dealt.op])).get(dealt.op)
        if leaf is None:
            return Proven(dealt.receipt, digest.hex(), None)
        if leaf.digest != digest:
            raise BOOKS_DIFFER.error(rule="P-11")
        head = await sql.tree(conn, leaf.tree)
        assert head is not None, "a leaf without its tree"
        beside = merkle.path(await sql.digests(conn, leaf.tree), leaf.place)
        proof = Proof(place=leaf.place, path=[one.hex() for one in beside], signed=_signed(head))
        return Proven(dealt.receipt, digest.hex(), proof)

    async def heads(self, conn: Conn, after: int, limit: int) -> list[SignedHead]:
        """Signed heads in order, for whoever keeps a copy of the log's spine."""
        return [_signed(tree) for tree in await sql.trees(conn, after, limit)]

    def code(self, receipt: Receipt) -> str:
        """The verification code on the slip (P-12): only we can make it."""
        mac = self._vault.mac("evidence.receipt", sm3(receipt.lines()))
        return f"{int.from_bytes(mac, 'big') % 10**CODE_DIGITS:0{CODE_DIGITS}d}"

    def is_code(self, receipt: Receipt, said: str) -> bool:
        """Whether that is the code of this receipt, in constant time."""
        return compare_digest(self.code(receipt).encode(), said.encode("utf-8", "surrogatepass"))

    async def count_copy(self, conn: Conn, dealt: Dealt, by: str) -> int:
        """Count one more printing of a slip; the first is 1."""
        return await sql.add_copy(conn, dealt.op, now(self._clock), by)


def head_digest(head: Head) -> bytes:
    """What the next head is chained to."""
    return sm3(head.lines())


def _signed(tree: sql.Tree) -> SignedHead:
    head = Head(
        no=tree.no,
        leaves=tree.leaves,
        root=tree.root.hex(),
        previous=tree.previous.hex(),
        signed_at=rfc3339(to_us(tree.signed_at)),
        key=tree.key,
    )
    return SignedHead(head=head, signature=tree.signature.hex(), public_key=tree.public_key.hex())


def _named(event: Written, what: str) -> str | None:
    """The payment or top-up an event tells of."""
    told = event.payload
    named = told.get(what) if isinstance(told, dict) else None
    return named if isinstance(named, str) else None
