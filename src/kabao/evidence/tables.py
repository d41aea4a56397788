"""Tables of the schema `evidence`: rows are only ever added."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA

from kabao.base.schema import Instant, Uuid, metadata

_SCHEMA = "evidence"

tree = sa.Table(
    "tree",
    metadata,
    sa.Column("no", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("leaves", sa.Integer, nullable=False),
    sa.Column("root", BYTEA, nullable=False),
    sa.Column("previous", BYTEA, nullable=False),
    sa.Column("signed_at", Instant, nullable=False),
    sa.Column("key", sa.Integer, nullable=False),
    sa.Column("public_key", BYTEA, nullable=False),
    sa.Column("signature", BYTEA, nullable=False),
    sa.CheckConstraint("no > 0 and leaves > 0", name="counted"),
    sa.CheckConstraint(
        "length(root) = 32 and length(previous) = 32 and length(signature) = 64"
        " and length(public_key) = 64",
        name="sizes",
    ),
    schema=_SCHEMA,
)

leaf = sa.Table(
    "leaf",
    metadata,
    sa.Column("op", Uuid, primary_key=True),
    sa.Column("subject", Uuid, nullable=False),
    sa.Column("topup", sa.Boolean, nullable=False),
    sa.Column("digest", BYTEA, nullable=False),
    sa.Column("tree", sa.BigInteger, nullable=False),
    sa.Column("place", sa.Integer, nullable=False),
    sa.UniqueConstraint("tree", "place", name="uq_leaf_place"),
    sa.CheckConstraint("length(digest) = 32 and place >= 0", name="sizes"),
    schema=_SCHEMA,
)

copy = sa.Table(
    "copy",
    metadata,
    sa.Column("op", Uuid, nullable=False),
    sa.Column("n", sa.Integer, nullable=False),
    sa.Column("printed_at", Instant, nullable=False),
    sa.Column("printed_by", sa.Text, nullable=False),
    sa.PrimaryKeyConstraint("op", "n", name="pk_copy"),
    sa.CheckConstraint("n > 0", name="counted"),
    sa.CheckConstraint("length(printed_by) <= 80", name="printed_by_length"),
    schema=_SCHEMA,
)
