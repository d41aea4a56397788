"""Rules are asked for by names there are, and cite rows there are."""

from __future__ import annotations

import ast
import re
from datetime import date

from kabao.app.migrate import tables
from kabao.base.clock import RealClock
from kabao.base.web.fields import KEY_LENGTH
from kabao.base.web.hot import MAX_BODY
from kabao.base.web.pages import DEFAULT_LIMIT, MAX_LIMIT
from kabao.policy import names, reading
from kabao.policy.model import SWITCH_ROWS
from kabao.policy.names import KINDS
from kabao.policy.ops import Policy
from tests import rows

from .tree import documents, here, none_of, sources, text, tree

DOTTED = re.compile(r"`([a-z_]+(?:\.[a-z_]+)+)`")
AREAS = {name.split(".")[0] for name in KINDS}
LATER = re.compile(r"^design \d$|^CX\d+$|^(AT|V)-\d+$")
"""Sections of the design, conflicts, acceptance tests and test vectors: no rows of ours."""


NOT_YET = {
    "bind.": "plastic to electronic",
    "business_day.": "clearing: cut-off",
    "card.bonus.validity_months": "promotions: bonus that runs out",
    "card.dormant_months": "compliance: dormant cards",
    "card.transfer.effect_seconds": "0: a transfer counts at once, which is how it is built",
    "card.validity.reminder_days": "notices: before a card expires",
    "card_return.same_name_account": "orders: the holder wants the prepayment back",
    "card_return.source_order": "orders: the holder wants the prepayment back",
    "card_return.consumer_owes_max_fen": "orders: the holder wants the prepayment back",
    "card_return.interest.issuer": "orders: the holder wants the prepayment back",
    "card_return.interest.consumer": "orders: the holder wants the prepayment back",
    "card_return.interest.custody": "orders: the holder wants the prepayment back",
    "channel.bank_direct.": "the documents' terms; what a channel charges is its own data",
    "channel.foreign_scheme.": "the documents' terms; what a channel charges is its own data",
    "channel.third_party.": "the documents' terms; what a channel charges is its own data",
    "closure.tells_each_holder": "compliance: an issuer closes",
    "custody.": "compliance: money in custody",
    "incident.": "compliance: incidents",
    "invoice.on_redemption": "orders: invoices",
    "invoice.sale.rate": "orders: invoices",
    "invoice.settlement_note": "orders: invoices",
    "invoice.special_allowed": "orders: invoices",
    "issuer.": "compliance: filing and the balance an issuer may have",
    "key.": "card keys",
    "loss.effect_seconds": "0: a loss report counts at once, which is how it is built",
    "offline.code.": "codes signed by phones, sold on without a line",
    "order.": "orders: discounts",
    "pay.final_within_minutes": "the till: automatic reversal",
    "pay.refund_cash_max_fen": "a goods refund in cash where no card takes it",
    "pay.refund_over_limit": "a refund to another card of the holder, from suspense",
    "pay_code.digits": "a code's form is one of three, each of its own length",
    "privacy.": "compliance: personal data",
    "purchase.charter_required": "orders",
    "purchase.contract_required": "orders",
    "purchase.splitting.": "orders: purchases in pieces",
    "rate.": "orders: interest on what is given back",
    "reconcile.": "clearing: reconciliation",
    "report.": "compliance: reports",
    "retention.assessment_years": "compliance: what is kept how long",
    "retention.audit_log_": "compliance: nothing of the log is thrown away as yet",
    "retention.invoice_years": "compliance: what is kept how long",
    "retention.trade_years": "compliance: nothing of the books is thrown away as yet",
    "risk.guess.": "the till: guessing is throttled per terminal",
    "slo.": "insight: lines that raise an alert",
    "tls.pos_min": "the till: POS over TLS",
    "topup.cross_border_allowed": "channels take yuan only",
    "webhook.tolerance_minutes": "channels that sign their moment of sending: in the adapters",
}
"""Rules that nothing obeys yet, by name or beginning of names, and what will."""

FIXED = {
    "approval.adjustment_from_fen": 1,
    "http.body_max_bytes": MAX_BODY,
    "http.idempotency_key_max_chars": KEY_LENGTH,
    "http.page_default_count": DEFAULT_LIMIT,
    "http.page_max_count": MAX_LIMIT,
    "tls.http_min": "1.3",
    "vault.suite": "sm4",
}
"""Rules that are built in, or a setting: what the house does is what they say."""


def test_every_rule_is_obeyed_or_waits_for_somebody_who_will() -> None:
    """A limit that only stands in a pack protects nobody."""
    outside = [path for path in sources() if not here(path).startswith("policy/")]
    used = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for path in outside
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute | ast.Name)
    }
    of_policy = {"switch.stop_needs_two", "switch.release_needs_two"}
    constants = {
        name: const
        for const, name in vars(names).items()
        if isinstance(name, str) and name in KINDS
    }
    idle = {name for name, const in constants.items() if const not in used} - of_policy
    waiting = {name: next((n for n in NOT_YET if name.startswith(n)), None) for name in KINDS}
    none_of(name for name in idle - FIXED.keys() if waiting[name] is None)
    none_of(f"{name} is used" for name in KINDS.keys() - idle if waiting[name] or name in FIXED)
    none_of(NOT_YET.keys() - set(waiting.values()))


def test_what_is_built_in_is_what_policy_says() -> None:
    rules = Policy.load(RealClock(), []).rules(jurisdiction="national", on=date(2026, 11, 22))
    assert {name: rules.cite(name).value for name in FIXED} == FIXED


def test_every_constant_that_is_read_exists() -> None:
    wrong = [
        f"{here(path)}:{node.lineno}: names.{node.attr}"
        for path in sources()
        if "import names" in text(path)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "names"
        and not hasattr(names, node.attr)
    ]
    none_of(wrong)


def test_every_name_in_a_document_exists() -> None:
    wrong = [
        f"{here(page)}: {name}"
        for page in documents()
        for name in DOTTED.findall(text(page))
        if name.split(".")[0] in AREAS
        and name.rpartition(".")[2] not in {"py", "toml", "md", "sql", "json"}
        and name not in KINDS
        and name not in tables().tables
    ]
    none_of(wrong)


def test_every_row_of_a_pack_cites_a_row_there_is() -> None:
    cited = {row.row for pack in reading.load().packs.values() for row in pack.rows}
    cited |= set(SWITCH_ROWS.values())
    none_of(row for row in cited - rows.known() if not LATER.match(row))
