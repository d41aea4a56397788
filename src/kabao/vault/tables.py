"""The vault's one table: which keys this database was written with."""

from __future__ import annotations

import sqlalchemy as sa

from kabao.base.schema import Instant, metadata

key_check = sa.Table(
    "key_check",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("algorithm", sa.Text, primary_key=True),
    sa.Column("check_value", sa.Text, nullable=False),
    sa.Column("first_seen_at", Instant, nullable=False),
    sa.CheckConstraint("version between 1 and 65535", name="version"),
    schema="vault",
    comment="A check value of every key that ever served this database; nothing secret.",
)
