"""What handlers are handed, by the names they ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kabao.cards.http_life import Counter
from kabao.clearing.http.statements import StatementDesk
from kabao.evidence.http import Desk as ReceiptDesk
from kabao.evidence.http_counter import Counter as ReturnCounter
from kabao.evidence.ports import Diary as EvidenceDiary
from kabao.evidence.ports import Returning
from kabao.ledger.ports import Carriers, LotOrders, Places
from kabao.ledger.ports import Diary as LedgerDiary
from kabao.payments.http import Desk, Wallet
from kabao.policy.ports import Approvals, Companies, Programmes
from kabao.policy.ports import Diary as PolicyDiary
from kabao.tenders.http import OrderKeys, SalesDesk
from kabao.topups.http.desk import TopUpDesk

if TYPE_CHECKING:
    from kabao.app.composition import Kabao

PROVIDED = (
    "access",
    "adjustments",
    "cards",
    "cases",
    "clearing",
    "clock",
    "customers",
    "days",
    "db",
    "diary",
    "disputes",
    "evidence",
    "funding",
    "ids",
    "kiosks",
    "ledger",
    "merchants",
    "offline_sales",
    "once",
    "org",
    "own_cards",
    "page_tokens",
    "papers",
    "paycodes",
    "payments",
    "policy",
    "pos_differences",
    "proofs",
    "reconciliation",
    "returns",
    "settlement_accounts",
    "stock",
    "suspense",
    "topups",
    "vault",
)
"""What handlers ask for by the name it has here."""


def provided(kabao: Kabao) -> dict[str, Any]:
    """Collaborators by the name handlers ask for them."""
    desk = SalesDesk(kabao.db, kabao.tenders, kabao.org, kabao.merchants, kabao.once, kabao.clock)
    return {name: getattr(kabao, name) for name in PROVIDED} | {
        "approvals": kabao.access.approvals,
        "counter": Counter(
            kabao.cards,
            kabao.life,
            kabao.ledger,
            kabao.org,
            kabao.merchants,
            kabao.customers,
            kabao.clock,
        ),
        "endpoints": kabao.telling.endpoints,
        "desk": Desk(kabao.db, kabao.payments, kabao.org, kabao.merchants, kabao.mac),
        "lot_order": kabao.lot_order,
        "sales_desk": desk,
        "order_keys": OrderKeys(kabao.db, kabao.once, desk, kabao.payments),
        "reading": kabao.telling.reading,
        "templates": kabao.telling.templates,
        "report_desk": kabao.report_desk,
        "deposits": kabao.morning.deposits,
        "payouts": kabao.morning.payouts,
        "statement_desk": StatementDesk(
            kabao.morning.statements, kabao.clearing, kabao.settings.fonts_dir
        ),
        "receipts": ReceiptDesk(kabao.db, kabao.evidence, kabao.org),
        "return_counter": ReturnCounter(
            kabao.db, kabao.policy, kabao.proofs, kabao.merchants, kabao.clock, kabao.days
        ),
        "topup_desk": _topup_desk(kabao),
        "wallet": Wallet(kabao.db, kabao.cards, kabao.payments),
    }


def _topup_desk(kabao: Kabao) -> TopUpDesk:
    people = kabao.org, kabao.merchants, kabao.customers
    return TopUpDesk(
        kabao.db, kabao.topups, kabao.funding, kabao.ledger, *people, kabao.vault, kabao.once
    )


def _fits(
    kabao: Kabao,
) -> tuple[
    Programmes,
    Companies,
    Approvals,
    PolicyDiary,
    Carriers,
    Places,
    LotOrders,
    LedgerDiary,
    EvidenceDiary,
    Returning,
]:
    """Never called. It lets mypy see that what is handed down fits what is asked for."""
    return (
        kabao.cards,
        kabao.org,
        kabao.access.approvals,
        kabao.diary,
        kabao.cards,
        kabao.org,
        kabao.lot_order,
        kabao.diary,
        kabao.diary,
        kabao.returns,
    )
