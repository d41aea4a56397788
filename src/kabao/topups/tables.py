"""Tables of the schema `topups`."""

from __future__ import annotations

import sqlalchemy as sa

from kabao.base.schema import Fen, Instant, Uuid, metadata

topup = sa.Table(
    "topup",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("company", Uuid, nullable=False),
    sa.Column("root", Uuid, nullable=False),
    sa.Column("card", Uuid, nullable=False),
    sa.Column("last4", sa.Text, nullable=False),
    sa.Column("store", Uuid, nullable=False),
    sa.Column("terminal", Uuid),
    sa.Column("cashier", Uuid),
    sa.Column("shift", Uuid),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("reference", sa.Text),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("balance_after_fen", Fen, nullable=False),
    sa.Column("confirmed_by", Uuid),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("business_date", sa.Date, nullable=False),
    sa.CheckConstraint("amount_fen > 0", name="positive"),
    sa.CheckConstraint("status in ('confirmed', 'voided')", name="status"),
    schema="topups",
)

sa.Index("ix_topup_reference", topup.c.reference, postgresql_where=sa.text("reference is not null"))
