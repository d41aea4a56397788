"""Tables of the schema `base`: the outbox and its readers, the simulated clock."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.types import UserDefinedType

from kabao.base.schema import Instant, Uuid, metadata


class Xid8(UserDefinedType[str]):
    """PostgreSQL's 64-bit transaction id."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The name in DDL."""
        return "xid8"


outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("xid", Xid8, nullable=False, server_default=sa.text("pg_current_xact_id()")),
    sa.Column("n", sa.BigInteger, sa.Identity(always=True, cache=64), nullable=False),
    sa.Column("root", Uuid),
    sa.Column("root_seq", sa.BigInteger),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("version", sa.SmallInteger, nullable=False),
    sa.Column("payload", JSON, nullable=False),
    sa.Column("recorded_at", Instant, nullable=False),
    sa.PrimaryKeyConstraint("xid", "n", name="pk_outbox"),
    schema="base",
)

outbox_reader = sa.Table(
    "outbox_reader",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("xid", Xid8, nullable=False),
    sa.Column("n", sa.BigInteger, nullable=False),
    schema="base",
)

clock = sa.Table(
    "clock",
    metadata,
    sa.Column("one", sa.Boolean, primary_key=True, server_default=sa.true()),
    sa.Column("anchor_us", sa.BigInteger, nullable=False),
    sa.Column("epoch_us", sa.BigInteger, nullable=False),
    sa.Column("rate", sa.Double, nullable=False),
    sa.CheckConstraint("one", name="one_row"),
    sa.CheckConstraint("rate > 0", name="forwards"),
    schema="base",
)
