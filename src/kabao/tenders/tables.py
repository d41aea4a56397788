"""Tables of the schema `tenders`."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSON

from kabao.base.schema import Fen, Instant, Uuid, metadata

_SCHEMA = "tenders"

payment_order = sa.Table(
    "payment_order",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("company", Uuid, nullable=False),
    sa.Column("store", Uuid, nullable=False),
    sa.Column("terminal", Uuid),
    sa.Column("cashier", Uuid),
    sa.Column("shift", Uuid),
    sa.Column("reference", sa.Text),
    sa.Column("metadata", JSON, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("at_once", sa.Boolean, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("ends_at", Instant, nullable=False),
    sa.Column("frozen_until", Instant),
    sa.Column("freeze_reason", sa.Text),
    sa.Column("outcome_unknown", sa.Boolean, nullable=False),
    sa.Column("captured_on", sa.Date),
    sa.Column("settled_on", sa.Date),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("business_date", sa.Date, nullable=False),
    sa.CheckConstraint("amount_fen > 0", name="positive"),
    sa.CheckConstraint(
        "status in ('open', 'partially_captured', 'captured', 'cancelled', 'expired')",
        name="status",
    ),
    sa.CheckConstraint(
        "(captured_on is not null) = (status in ('partially_captured', 'captured'))",
        name="captured_on",
    ),
    sa.CheckConstraint("settled_on is null or status = 'captured'", name="settled"),
    sa.CheckConstraint(
        "(frozen_until is null) = (freeze_reason is null)"
        " and (frozen_until is not null or not outcome_unknown)",
        name="freeze",
    ),
    schema=_SCHEMA,
)

sa.Index(
    "ix_payment_order_ends_at",
    payment_order.c.ends_at,
    postgresql_where=sa.text("status in ('open', 'partially_captured')"),
)
sa.Index(
    "ix_payment_order_captured_on",
    payment_order.c.captured_on,
    postgresql_where=sa.text("status = 'captured' and settled_on is null"),
)
sa.Index(
    "ix_payment_order_reference",
    payment_order.c.reference,
    postgresql_where=sa.text("reference is not null"),
)

tender = sa.Table(
    "tender",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("payment_order", Uuid, nullable=False),
    sa.Column("no", sa.SmallInteger, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("channel", sa.Text),
    sa.Column("reference", sa.Text),
    sa.Column("payment", Uuid, unique=True),
    sa.Column("card", Uuid),
    sa.Column("last4", sa.Text),
    sa.Column("requested_fen", Fen, nullable=False),
    sa.Column("approved_fen", Fen, nullable=False),
    sa.Column("held_fen", Fen, nullable=False),
    sa.Column("captured_fen", Fen, nullable=False),
    sa.Column("refunded_fen", Fen, nullable=False),
    sa.Column("decline_code", sa.Text),
    sa.Column("rule", sa.Text),
    sa.Column("balance_after_fen", Fen),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("rounding_fen", Fen, nullable=False, server_default="0"),
    sa.Column("coin_fen", Fen, nullable=False, server_default="1"),
    sa.UniqueConstraint("payment_order", "no"),
    sa.CheckConstraint("kind in ('card', 'cash', 'channel')", name="kind"),
    sa.CheckConstraint("(kind = 'card') = (payment is not null)", name="payment"),
    sa.CheckConstraint("(kind = 'channel') = (channel is not null)", name="channel"),
    sa.CheckConstraint("(approved_fen = 0) = (decline_code is not null)", name="decline"),
    sa.CheckConstraint(
        "requested_fen > 0 and approved_fen <= requested_fen"
        " and held_fen >= 0 and captured_fen >= 0 and held_fen + captured_fen <= approved_fen"
        " and refunded_fen between 0 and captured_fen",
        name="amounts_in_order",
    ),
    sa.CheckConstraint(
        "rounding_fen >= 0 and (rounding_fen = 0 or kind = 'cash')", name="rounding"
    ),
    sa.CheckConstraint("coin_fen >= 1 and (coin_fen = 1 or kind = 'cash')", name="coin"),
    schema=_SCHEMA,
)

cash_entry = sa.Table(
    "cash_entry",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("payment_order", Uuid, nullable=False),
    sa.Column("tender", Uuid, nullable=False, index=True),
    sa.Column("shift", Uuid),
    sa.Column("verb", sa.Text, nullable=False),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.CheckConstraint("verb in ('order', 'order_refund')", name="verb"),
    sa.CheckConstraint("amount_fen > 0", name="positive"),
    schema=_SCHEMA,
)
sa.Index("ix_cash_entry_shift", cash_entry.c.shift, postgresql_where=sa.text("shift is not null"))

refund = sa.Table(
    "refund",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("payment_order", Uuid, nullable=False, index=True),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.CheckConstraint("amount_fen > 0", name="positive"),
    schema=_SCHEMA,
)

refund_part = sa.Table(
    "refund_part",
    metadata,
    sa.Column("refund", Uuid, primary_key=True),
    sa.Column("tender", Uuid, primary_key=True),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("payment_refund", Uuid, unique=True),
    sa.Column("destination", sa.Text, nullable=False),
    sa.Column("rule", sa.Text),
    sa.Column("due_back_fen", Fen, nullable=False, server_default="0"),
    sa.CheckConstraint("amount_fen > 0", name="positive"),
    sa.CheckConstraint(
        "due_back_fen >= 0 and (due_back_fen = 0 or payment_refund is null)", name="due_back"
    ),
    sa.CheckConstraint(
        "destination in ('card', 'suspense', 'cash', 'channel')"
        " and (destination in ('card', 'suspense')) = (payment_refund is not null)",
        name="destination",
    ),
    schema=_SCHEMA,
)
