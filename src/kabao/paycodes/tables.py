"""Tables of the schema `paycodes`."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA

from kabao.base.schema import Instant, Uuid, metadata

_SCHEMA = "paycodes"

series = sa.Table(
    "series",
    metadata,
    sa.Column("card", Uuid, primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.CheckConstraint("number > 0", name="numbered"),
    schema=_SCHEMA,
)

code = sa.Table(
    "code",
    metadata,
    sa.Column("blind", Uuid, primary_key=True),
    sa.Column("card", Uuid, nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("made_at", Instant, nullable=False),
    sa.Column("until_at", Instant, nullable=False, index=True),
    sa.CheckConstraint("until_at > made_at", name="lives"),
    schema=_SCHEMA,
)

device = sa.Table(
    "device",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("card", Uuid, nullable=False, index=True),
    sa.Column("head", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("key_sealed", BYTEA),
    sa.Column("enrolled_at", Instant, nullable=False),
    sa.Column("revoked_at", Instant),
    sa.Column("public_key", BYTEA),
    sa.CheckConstraint("length(public_key) = 64", name="public_key"),
    sa.CheckConstraint("head ~ '^[0-9]{10}$'", name="head_digits"),
    sa.CheckConstraint("length(name) between 1 and 64", name="name_length"),
    sa.CheckConstraint(
        "(key_sealed is null) = (revoked_at is not null)", name="key_dies_when_revoked"
    ),
    schema=_SCHEMA,
)
