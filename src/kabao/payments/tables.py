"""Tables of the schema `payments`."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSON

from kabao.base.schema import Fen, Instant, Uuid, metadata

_SCHEMA = "payments"

payment = sa.Table(
    "payment",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("company", Uuid, nullable=False),
    sa.Column("root", Uuid),
    sa.Column("card", Uuid),
    sa.Column("last4", sa.Text),
    sa.Column("store", Uuid, nullable=False),
    sa.Column("terminal", Uuid),
    sa.Column("cashier", Uuid),
    sa.Column("shift", Uuid),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("reference", sa.Text),
    sa.Column("metadata", JSON, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("requested_fen", Fen, nullable=False),
    sa.Column("approved_fen", Fen, nullable=False),
    sa.Column("captured_fen", Fen, nullable=False),
    sa.Column("refunded_fen", Fen, nullable=False),
    sa.Column("principal_fen", Fen, nullable=False),
    sa.Column("bonus_fen", Fen, nullable=False),
    sa.Column("refunded_principal_fen", Fen, nullable=False),
    sa.Column("refunded_bonus_fen", Fen, nullable=False),
    sa.Column("held_principal_fen", Fen, nullable=False),
    sa.Column("held_bonus_fen", Fen, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("decline_code", sa.Text),
    sa.Column("rule", sa.Text),
    sa.Column("balance_after_fen", Fen),
    sa.Column("tender", sa.Text, nullable=False),
    sa.Column("invoiceable_fen", Fen, nullable=False),
    sa.Column("expires_at", Instant),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("business_date", sa.Date, nullable=False),
    sa.CheckConstraint("requested_fen > 0", name="positive"),
    sa.CheckConstraint(
        "refunded_fen <= captured_fen and captured_fen <= approved_fen"
        " and approved_fen <= requested_fen and refunded_fen >= 0",
        name="amounts_in_order",
    ),
    sa.CheckConstraint("principal_fen + bonus_fen = captured_fen", name="captured_parts"),
    sa.CheckConstraint(
        "refunded_principal_fen + refunded_bonus_fen = refunded_fen"
        " and refunded_principal_fen <= principal_fen and refunded_bonus_fen <= bonus_fen",
        name="refunded_parts",
    ),
    sa.CheckConstraint("(status = 'declined') = (decline_code is not null)", name="decline"),
    schema=_SCHEMA,
)

sa.Index(
    "ix_payment_reference",
    payment.c.reference,
    postgresql_where=sa.text("reference is not null"),
)

refund = sa.Table(
    "refund",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("payment", Uuid, nullable=False, index=True),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("principal_fen", Fen, nullable=False),
    sa.Column("bonus_fen", Fen, nullable=False),
    sa.Column("destination", sa.Text, nullable=False),
    sa.Column("rule", sa.Text),
    sa.Column("created_at", Instant, nullable=False),
    sa.CheckConstraint("amount_fen > 0 and principal_fen + bonus_fen = amount_fen", name="parts"),
    schema=_SCHEMA,
)

code_tie = sa.Table(
    "code_tie",
    metadata,
    sa.Column("series", Uuid, primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("store", Uuid, nullable=False),
    sa.Column("terminal", Uuid),
    sa.Column("reference", sa.Text),
    sa.Column("until_at", Instant, nullable=False),
    sa.Column("payment", Uuid),
    sa.Column("left_fen", Fen),
    sa.CheckConstraint("(payment is null) = (left_fen is null)", name="paid_with"),
    sa.CheckConstraint("left_fen >= 0", name="left"),
    schema=_SCHEMA,
    # A row for each card or device that ever paid by code, updated in its page (HOT).
    postgresql_with={"fillfactor": "70"},
)

reversal = sa.Table(
    "reversal",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("payment", Uuid, index=True),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    schema=_SCHEMA,
)

# Beside the payment and not in its row: hardly any payment is disputed.
lent = sa.Table(
    "lent",
    metadata,
    sa.Column("payment", Uuid, sa.ForeignKey("payments.payment.id"), primary_key=True),
    sa.Column("lent_principal_fen", Fen, nullable=False),
    sa.Column("lent_bonus_fen", Fen, nullable=False),
    sa.CheckConstraint("lent_principal_fen >= 0 and lent_bonus_fen >= 0", name="amounts"),
    schema=_SCHEMA,
)
