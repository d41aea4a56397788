"""Tables of the schema `proofs`."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA

from kabao.base.schema import Instant, Uuid, metadata

_SCHEMA = "proofs"

code = sa.Table(
    "code",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("mac", BYTEA, nullable=False),
    sa.Column("tries_left", sa.SmallInteger, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False, index=True),
    sa.Column("proved_at", Instant),
    sa.Column("spent_at", Instant),
    sa.CheckConstraint("length(purpose) between 1 and 40", name="purpose_length"),
    sa.CheckConstraint("length(subject) between 1 and 80", name="subject_length"),
    sa.CheckConstraint("tries_left >= 0", name="tries"),
    sa.CheckConstraint("spent_at is null or proved_at is not null", name="proved_before_spent"),
    schema=_SCHEMA,
)

sa.Index(
    "ix_code_open", code.c.purpose, code.c.subject, postgresql_where=code.c.proved_at.is_(None)
)

sms = sa.Table(
    "sms",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("phone", BYTEA, nullable=False),
    sa.Column("text", BYTEA),
    sa.Column("created_at", Instant, nullable=False, index=True),
    sa.Column("taken_at", Instant),
    sa.CheckConstraint("(text is null) = (taken_at is not null)", name="taken_once"),
    schema=_SCHEMA,
)

sa.Index("ix_sms_waiting", sms.c.id, postgresql_where=sms.c.taken_at.is_(None))

page_token = sa.Table(
    "page_token",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("company", Uuid, nullable=False),
    sa.Column("mac", BYTEA, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False, index=True),
    sa.Column("spent_at", Instant),
    sa.CheckConstraint("length(mac) = 32", name="mac_length"),
    schema=_SCHEMA,
)

counter = sa.Table(
    "counter",
    metadata,
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("subject", BYTEA, nullable=False),
    sa.Column("hits", sa.Integer, nullable=False),
    sa.Column("until_at", Instant, nullable=False),
    sa.PrimaryKeyConstraint("name", "subject", name="pk_counter"),
    sa.CheckConstraint("length(name) between 1 and 40", name="name_length"),
    sa.CheckConstraint("hits > 0", name="hits"),
    schema=_SCHEMA,
    # Room in each page lets an update stay on it (HOT): no index is touched.
    postgresql_with={"fillfactor": "70"},
)
