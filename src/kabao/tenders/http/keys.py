"""Payment orders by the Idempotency-Keys they were opened with, for reversals (F-7)."""

from __future__ import annotations

import msgspec

from kabao.base.db import Conn, Database
from kabao.base.web.once import Once
from kabao.base.web.principal import Principal
from kabao.payments.model import NOT_A_PAYMENT, Ask, Reversed
from kabao.payments.ops import Payments
from kabao.tenders.http.desk import SalesDesk

OPENED = "POST /v1/payment-orders"
LATER = tuple(
    f"POST /v1/payment-orders/{{payment_order}}/{verb}"
    for verb in ("tenders", "capture", "release", "cancel", "refunds")
)


class _Opened(msgspec.Struct):
    """The part of an answer that says which order it was."""

    id: str


class OrderKeys:
    """Finds, undoes and bars orders by key; `seen_by` says for whom."""

    def __init__(self, db: Database, once: Once, desk: SalesDesk, payments: Payments) -> None:
        self.db, self.once, self.desk, self.payments = db, once, desk, payments

    def seen_by(self, principal: Principal) -> SeenOrders:
        """The orders that a key may see."""
        return SeenOrders(self, principal)


class SeenOrders:
    """Fits `kabao.payments.ports.Sales`."""

    def __init__(self, keys: OrderKeys, principal: Principal) -> None:
        self._keys, self._principal = keys, principal

    async def reverse(self, ask: Ask, original: str) -> Reversed | None:
        """Undo the order that was opened with a key; None if none was.

        Raises `not_found` for one outside the scope, `key_of_another_verb`, and as
        `Tenders.reverse` does.
        """
        keys = self._keys
        async with keys.db.read() as conn:
            answered = await keys.once.told(conn, ask.company, OPENED, original)
            if answered is None:
                for route in LATER:
                    if await keys.once.told(conn, ask.company, route, original) is not None:
                        raise NOT_A_PAYMENT.error(rule="P-19")
                return None
        order = await keys.desk.find(
            self._principal, msgspec.json.decode(answered, type=_Opened).id
        )
        place = keys.desk.place_of(order)
        async with keys.db.transaction() as conn:
            undone_fen = await keys.desk.tenders.reverse(conn, order.id, place)
            return await keys.payments.reversed_in(conn, ask, order.id, undone_fen)

    async def bar(self, conn: Conn, company: str, original: str) -> bool:
        """Refuse the key for orders and for their tenders; False if one came meanwhile."""
        once = self._keys.once
        opened = await once.bar(conn, company, OPENED, original)
        return await once.bar(conn, company, LATER[0], original) and opened
