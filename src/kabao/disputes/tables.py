"""Tables of the schema `disputes`."""

from __future__ import annotations

import sqlalchemy as sa

from kabao.base.schema import Fen, Instant, Uuid, metadata

_SCHEMA = "disputes"

dispute = sa.Table(
    "dispute",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("payment", Uuid, nullable=False, index=True),
    sa.Column("root", Uuid, nullable=False),
    sa.Column("card", Uuid, nullable=False),
    sa.Column("issuer", Uuid, nullable=False),
    sa.Column("store", Uuid, nullable=False),
    sa.Column("store_company", Uuid, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("accepted", sa.Boolean),
    sa.Column("lent_principal_fen", Fen, nullable=False),
    sa.Column("lent_bonus_fen", Fen, nullable=False),
    sa.Column("evidence_due_on", sa.Date),
    sa.Column("decide_by", sa.Date, nullable=False),
    sa.Column("overdue", sa.Boolean, nullable=False),
    sa.Column("outcome", sa.Text),
    sa.Column("bearer", sa.Text),
    sa.Column("given_fen", Fen, nullable=False),
    sa.Column("taken_back_fen", Fen, nullable=False),
    sa.Column("owed_fen", Fen, nullable=False),
    sa.Column("opened_at", Instant, nullable=False),
    sa.Column("decided_at", Instant),
    sa.CheckConstraint(
        "amount_fen > 0 and lent_principal_fen >= 0 and lent_bonus_fen >= 0 and given_fen >= 0"
        " and taken_back_fen >= 0 and owed_fen >= 0 and given_fen <= amount_fen"
        " and lent_principal_fen + lent_bonus_fen <= amount_fen",
        name="amounts",
    ),
    sa.CheckConstraint("state in ('opened', 'evidence_due', 'decided')", name="state"),
    sa.CheckConstraint(
        "(state = 'decided') = (outcome is not null)"
        " and (state = 'decided') = (decided_at is not null)"
        " and (outcome is null or (outcome = 'holder') = (bearer is not null))"
        " and (state <> 'decided' or lent_principal_fen + lent_bonus_fen = 0)",
        name="decided",
    ),
    schema=_SCHEMA,
)
sa.Index(
    "uq_dispute_open_payment",
    dispute.c.payment,
    unique=True,
    postgresql_where=dispute.c.state != "decided",
)
sa.Index("ix_dispute_open", dispute.c.decide_by, postgresql_where=dispute.c.state != "decided")

step = sa.Table(
    "step",
    metadata,
    sa.Column("dispute", Uuid, sa.ForeignKey("disputes.dispute.id"), nullable=False),
    sa.Column("n", sa.SmallInteger, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("by", Uuid, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.PrimaryKeyConstraint("dispute", "n", name="pk_step"),
    schema=_SCHEMA,
)
