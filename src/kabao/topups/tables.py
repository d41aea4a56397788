"""Tables of the schema `topups`."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA

from kabao.base.schema import Fen, Instant, Uuid, metadata

_SCHEMA = "topups"

topup = sa.Table(
    "topup",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("company", Uuid, nullable=False),
    sa.Column("root", Uuid, nullable=False),
    sa.Column("card", Uuid, nullable=False),
    sa.Column("last4", sa.Text, nullable=False),
    sa.Column("store", Uuid),
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
    sa.Column("issuer", Uuid),
    sa.Column("payer", Uuid),
    sa.Column("scene", sa.Text),
    sa.Column("collection", Uuid, unique=True),
    sa.Column("paid_from", Uuid),
    sa.Column("bonus_fen", Fen, nullable=False, server_default="0"),
    sa.Column("refunded_fen", Fen, nullable=False, server_default="0"),
    sa.Column("kept_fen", Fen, nullable=False, server_default="0"),
    sa.Column("clawed_fen", Fen, nullable=False, server_default="0"),
    sa.Column("failure", sa.Text),
    sa.Column("rule", sa.Text),
    sa.Column("confirmed_at", Instant),
    sa.Column("paid_by", BYTEA),
    sa.CheckConstraint("amount_fen > 0", name="positive"),
    sa.CheckConstraint(
        "status in ('pending', 'confirmed', 'failed', 'expired', 'refunding', 'refunded',"
        " 'recalled', 'voided')",
        name="status",
    ),
    sa.CheckConstraint(
        "store is not null or collection is not null or paid_from is not null",
        name="cash_has_a_store",
    ),
    sa.CheckConstraint(
        "bonus_fen >= 0 and refunded_fen >= 0 and kept_fen >= 0 and clawed_fen >= 0"
        " and refunded_fen + kept_fen <= amount_fen and clawed_fen + kept_fen <= bonus_fen",
        name="back",
    ),
    schema=_SCHEMA,
)

sa.Index("ix_topup_reference", topup.c.reference, postgresql_where=sa.text("reference is not null"))
sa.Index("ix_topup_root_day", topup.c.root, topup.c.business_date)
sa.Index(
    "ix_topup_payer_day",
    topup.c.payer,
    topup.c.business_date,
    postgresql_where=sa.text("payer is not null"),
)

sa.Index(
    "ix_topup_paid_by_day",
    topup.c.paid_by,
    topup.c.business_date,
    postgresql_where=sa.text("paid_by is not null"),
)

bonus_rule = sa.Table(
    "bonus_rule",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("programme", Uuid, nullable=False, index=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("from_fen", Fen, nullable=False),
    sa.Column("give_fen", Fen),
    sa.Column("give_bp", sa.Integer),
    sa.Column("topup_max_fen", Fen),
    sa.Column("card_max_fen", Fen),
    sa.Column("period", sa.Text, nullable=False),
    sa.Column("starts_on", sa.Date, nullable=False),
    sa.Column("ends_on", sa.Date, nullable=False),
    sa.Column("budget_fen", Fen, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("used_fen", Fen, nullable=False),
    sa.Column("approval", Uuid, nullable=False, unique=True),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("ended_at", Instant),
    sa.CheckConstraint("used_fen between 0 and budget_fen", name="budget"),
    sa.CheckConstraint("(give_fen is null) <> (give_bp is null)", name="gives"),
    sa.CheckConstraint("starts_on <= ends_on", name="lives"),
    sa.CheckConstraint("state in ('running', 'ended')", name="state"),
    sa.CheckConstraint("period in ('day', 'month', 'campaign')", name="period"),
    schema=_SCHEMA,
)

bonus_grant = sa.Table(
    "bonus_grant",
    metadata,
    sa.Column("topup", Uuid, primary_key=True),
    sa.Column("rule", Uuid, sa.ForeignKey(bonus_rule.c.id), nullable=False),
    sa.Column("root", Uuid, nullable=False),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("back_fen", Fen, nullable=False),
    sa.Column("business_date", sa.Date, nullable=False),
    sa.CheckConstraint("amount_fen > 0 and back_fen between 0 and amount_fen", name="amounts"),
    schema=_SCHEMA,
)

sa.Index("ix_bonus_grant_rule_root", bonus_grant.c.rule, bonus_grant.c.root)

refund = sa.Table(
    "refund",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("topup", Uuid, sa.ForeignKey(topup.c.id), nullable=False, index=True),
    sa.Column("root", Uuid, nullable=False),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("kept_fen", Fen, nullable=False),
    sa.Column("clawed_fen", Fen, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("fault", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("funding", Uuid, unique=True),
    sa.Column("refusal", sa.Text),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("done_at", Instant),
    sa.Column("from_bonus_fen", Fen, nullable=False, server_default="0"),
    sa.CheckConstraint("amount_fen > 0 and kept_fen >= 0 and clawed_fen >= 0", name="amounts"),
    sa.CheckConstraint("from_bonus_fen between 0 and amount_fen", name="from_bonus"),
    sa.CheckConstraint("state in ('pending', 'done', 'refused')", name="state"),
    sa.CheckConstraint("fault in ('payer', 'issuer')", name="fault"),
    schema=_SCHEMA,
)

recall = sa.Table(
    "recall",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("topup", Uuid, sa.ForeignKey(topup.c.id), nullable=False, index=True),
    sa.Column("root", Uuid, nullable=False),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("frozen_fen", Fen, nullable=False),
    sa.Column("frozen_bonus_fen", Fen, nullable=False),
    sa.Column("owed_fen", Fen, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("settled_by", Uuid),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("settled_at", Instant),
    sa.Column("funding", Uuid),
    sa.CheckConstraint(
        "frozen_fen >= 0 and frozen_bonus_fen >= 0 and owed_fen >= 0"
        " and frozen_fen + owed_fen = amount_fen",
        name="amounts",
    ),
    sa.CheckConstraint("state in ('open', 'lost', 'won')", name="state"),
    schema=_SCHEMA,
)

recall_part = sa.Table(
    "recall_part",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("recall", Uuid, sa.ForeignKey(recall.c.id), nullable=False, index=True),
    sa.Column("root", Uuid, nullable=False),
    sa.Column("lot", Uuid, nullable=False),
    sa.Column("frozen_fen", Fen, nullable=False),
    sa.Column("frozen_bonus_fen", Fen, nullable=False),
    sa.CheckConstraint(
        "frozen_fen >= 0 and frozen_bonus_fen >= 0 and frozen_fen + frozen_bonus_fen > 0",
        name="amounts",
    ),
    schema=_SCHEMA,
)
