"""Tables of the schema `cards`: what somebody should look at."""

from __future__ import annotations

import sqlalchemy as sa

from kabao.base.schema import Fen, Instant, Uuid, metadata

_SCHEMA = "cards"

own_card_flag = sa.Table(
    "own_card_flag",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("source", sa.Text, nullable=False, unique=True),
    sa.Column("deed", sa.Text, nullable=False),
    sa.Column("store", Uuid, nullable=False),
    sa.Column("cashier", Uuid, nullable=False),
    sa.Column("card", Uuid, nullable=False),
    sa.Column("amount_fen", Fen),
    sa.Column("at", Instant, nullable=False),
    sa.Column("noted_at", Instant, nullable=False),
    sa.CheckConstraint("deed in ('refund', 'load', 'activation')", name="deed"),
    sa.CheckConstraint("amount_fen > 0", name="amount"),
    schema=_SCHEMA,
)

sa.Index("ix_own_card_flag_store", own_card_flag.c.store, own_card_flag.c.id)
