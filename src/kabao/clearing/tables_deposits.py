"""Tables of the schema `clearing`: cash on its way to the bank."""

from __future__ import annotations

import sqlalchemy as sa

from kabao.base.schema import Fen, Instant, Uuid, metadata

_SCHEMA = "clearing"

deposit = sa.Table(
    "deposit",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("reference", sa.CHAR(12), nullable=False, unique=True),
    sa.Column("company", Uuid, nullable=False),
    sa.Column("store", Uuid, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("declared_fen", Fen, nullable=False),
    sa.Column("expected_fen", Fen, nullable=False),
    sa.Column("received_fen", Fen),
    sa.Column("receipt", sa.Text),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("received_at", Instant),
    sa.Column("channel", Uuid),
    sa.Column("told_late", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.CheckConstraint("declared_fen > 0 and received_fen > 0", name="positive"),
    sa.CheckConstraint(
        "state in ('handed_over', 'matched', 'differs', 'settled')"
        " and (state = 'handed_over') = (received_fen is null)"
        " and (state <> 'matched' or received_fen = expected_fen)",
        name="state",
    ),
    sa.CheckConstraint(
        "(received_fen is null) = (receipt is null)"
        " and (received_fen is null) = (received_at is null)"
        " and (received_fen is null) = (channel is null)",
        name="received",
    ),
    schema=_SCHEMA,
)
sa.Index("deposit_under_way", deposit.c.day, postgresql_where=deposit.c.state == "handed_over")

deposit_shift = sa.Table(
    "deposit_shift",
    metadata,
    sa.Column("shift", Uuid, primary_key=True),
    sa.Column("company", Uuid, primary_key=True),
    sa.Column("deposit", Uuid, sa.ForeignKey(deposit.c.id), nullable=False, index=True),
    sa.Column("cash_fen", Fen, nullable=False),
    schema=_SCHEMA,
)
