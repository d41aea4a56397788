"""Tables of the schema `cases`."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSON

from kabao.base.schema import Instant, Uuid, metadata

_SCHEMA = "cases"

case = sa.Table(
    "case",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False, index=True),
    sa.Column("company", Uuid, nullable=False),
    sa.Column("store", Uuid),
    sa.Column("facts", JSON, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("occurrences", sa.Integer, nullable=False),
    sa.Column("opened_at", Instant, nullable=False),
    sa.Column("last_at", Instant, nullable=False),
    sa.Column("due_at", Instant, nullable=False),
    sa.Column("taken_by", Uuid),
    sa.Column("taken_name", sa.Text),
    sa.Column("taken_at", Instant),
    sa.Column("resolved_by", Uuid),
    sa.Column("resolved_name", sa.Text),
    sa.Column("resolved_at", Instant),
    sa.Column("outcome", sa.Text),
    sa.UniqueConstraint("kind", "key"),
    sa.CheckConstraint("state in ('open', 'taken', 'resolved')", name="state"),
    sa.CheckConstraint("occurrences > 0", name="occurred"),
    sa.CheckConstraint(
        "(taken_by is null) = (taken_at is null) and (taken_by is null) = (taken_name is null)"
        " and (taken_at is not null or state = 'open')",
        name="taken",
    ),
    sa.CheckConstraint(
        "(resolved_at is not null) = (state = 'resolved')"
        " and (resolved_by is null) = (resolved_at is null)"
        " and (resolved_name is null) = (resolved_at is null)"
        " and (outcome is null) = (resolved_at is null)",
        name="resolved",
    ),
    schema=_SCHEMA,
)

sa.Index(
    "ix_case_unresolved", case.c.due_at, postgresql_where=sa.text("state in ('open', 'taken')")
)

note = sa.Table(
    "note",
    metadata,
    sa.Column("case", Uuid, nullable=False),
    sa.Column("n", sa.Integer, nullable=False),
    sa.Column("by", Uuid, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.PrimaryKeyConstraint("case", "n", name="pk_note"),
    sa.CheckConstraint("n > 0", name="counted"),
    schema=_SCHEMA,
)
