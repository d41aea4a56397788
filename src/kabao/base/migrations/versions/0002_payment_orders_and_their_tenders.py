"""payment orders and their tenders."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("create schema tenders")
    op.create_table(
        "payment_order",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("company", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("store", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("terminal", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("cashier", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("shift", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("metadata", postgresql.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("at_once", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("frozen_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("freeze_reason", sa.Text(), nullable=True),
        sa.Column("outcome_unknown", sa.Boolean(), nullable=False),
        sa.Column("captured_on", sa.Date(), nullable=True),
        sa.Column("settled_on", sa.Date(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.CheckConstraint(
            "(captured_on is not null) = (status in ('partially_captured', 'captured'))",
            name=op.f("ck_payment_order_captured_on"),
        ),
        sa.CheckConstraint(
            "settled_on is null or status = 'captured'", name=op.f("ck_payment_order_settled")
        ),
        sa.CheckConstraint(
            "status in ('open', 'partially_captured', 'captured', 'cancelled', 'expired')",
            name=op.f("ck_payment_order_status"),
        ),
        sa.CheckConstraint(
            "(frozen_until is null) = (freeze_reason is null) and (frozen_until is not null or not outcome_unknown)",
            name=op.f("ck_payment_order_freeze"),
        ),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_payment_order_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_order")),
        schema="tenders",
    )
    op.create_index(
        "ix_payment_order_captured_on",
        "payment_order",
        ["captured_on"],
        unique=False,
        schema="tenders",
        postgresql_where=sa.text("status = 'captured' and settled_on is null"),
    )
    op.create_index(
        "ix_payment_order_ends_at",
        "payment_order",
        ["ends_at"],
        unique=False,
        schema="tenders",
        postgresql_where=sa.text("status in ('open', 'partially_captured')"),
    )
    op.create_index(
        "ix_payment_order_reference",
        "payment_order",
        ["reference"],
        unique=False,
        schema="tenders",
        postgresql_where=sa.text("reference is not null"),
    )
    op.create_table(
        "refund",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("payment_order", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_refund_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund")),
        schema="tenders",
    )
    op.create_index(
        op.f("ix_refund_payment_order"), "refund", ["payment_order"], unique=False, schema="tenders"
    )
    op.create_table(
        "refund_part",
        sa.Column("refund", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("tender", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("payment_refund", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "destination in ('card', 'suspense', 'cash', 'channel') and (destination in ('card', 'suspense')) = (payment_refund is not null)",
            name=op.f("ck_refund_part_destination"),
        ),
        sa.CheckConstraint("amount_fen > 0", name=op.f("ck_refund_part_positive")),
        sa.PrimaryKeyConstraint("refund", "tender", name=op.f("pk_refund_part")),
        sa.UniqueConstraint("payment_refund", name=op.f("uq_refund_part_payment_refund")),
        schema="tenders",
    )
    op.create_table(
        "tender",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("payment_order", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("no", sa.SmallInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("payment", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("card", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("last4", sa.Text(), nullable=True),
        sa.Column("requested_fen", sa.BigInteger(), nullable=False),
        sa.Column("approved_fen", sa.BigInteger(), nullable=False),
        sa.Column("held_fen", sa.BigInteger(), nullable=False),
        sa.Column("captured_fen", sa.BigInteger(), nullable=False),
        sa.Column("refunded_fen", sa.BigInteger(), nullable=False),
        sa.Column("decline_code", sa.Text(), nullable=True),
        sa.Column("rule", sa.Text(), nullable=True),
        sa.Column("balance_after_fen", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(kind = 'card') = (payment is not null)", name=op.f("ck_tender_payment")
        ),
        sa.CheckConstraint(
            "(kind = 'channel') = (channel is not null)", name=op.f("ck_tender_channel")
        ),
        sa.CheckConstraint("kind in ('card', 'cash', 'channel')", name=op.f("ck_tender_kind")),
        sa.CheckConstraint(
            "(approved_fen = 0) = (decline_code is not null)", name=op.f("ck_tender_decline")
        ),
        sa.CheckConstraint(
            "requested_fen > 0 and approved_fen <= requested_fen and held_fen >= 0 and captured_fen >= 0 and held_fen + captured_fen <= approved_fen and refunded_fen between 0 and captured_fen",
            name=op.f("ck_tender_amounts_in_order"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tender")),
        sa.UniqueConstraint("payment", name=op.f("uq_tender_payment")),
        sa.UniqueConstraint("payment_order", "no", name=op.f("uq_tender_payment_order_no")),
        schema="tenders",
    )
