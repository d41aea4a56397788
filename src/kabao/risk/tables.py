"""Tables of the schema `risk`."""

from __future__ import annotations

import sqlalchemy as sa

from kabao.base.schema import Fen, Instant, Uuid, metadata

_SCHEMA = "risk"

emptied = sa.Table(
    "emptied",
    metadata,
    sa.Column("store", Uuid, nullable=False),
    sa.Column("root", Uuid, nullable=False),
    sa.Column("payment", Uuid, nullable=False),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("until", Instant, nullable=False, index=True),
    sa.PrimaryKeyConstraint("store", "root", name="pk_emptied"),
    schema=_SCHEMA,
)

load = sa.Table(
    "load",
    metadata,
    sa.Column("topup", Uuid, primary_key=True),
    sa.Column("root", Uuid, nullable=False, index=True),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("before_fen", Fen, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("until", Instant, nullable=False, index=True),
    schema=_SCHEMA,
)

alarm = sa.Table(
    "alarm",
    metadata,
    sa.Column("store", Uuid, primary_key=True),
    sa.Column("first", Uuid, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("until", Instant, nullable=False, index=True),
    schema=_SCHEMA,
)
