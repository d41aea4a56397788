"""Tables of the schema `pos`."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA

from kabao.base.schema import Fen, Instant, Uuid, metadata

_SCHEMA = "pos"

session = sa.Table(
    "session",
    metadata,
    sa.Column("terminal", Uuid, primary_key=True),
    sa.Column("algorithm", sa.Text, nullable=False),
    sa.Column("tmk_version", sa.Integer, nullable=False),
    sa.Column("proven", BYTEA),
    sa.Column("fresh", BYTEA),
    sa.Column("cashier", Uuid),
    sa.Column("batch", sa.Integer, nullable=False),
    sa.Column("settled", sa.Boolean, nullable=False),
    sa.Column("signed_in", sa.Boolean, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("changed_at", Instant, nullable=False, index=True),
    sa.CheckConstraint("batch between 1 and 999999", name="batch"),
    sa.CheckConstraint("proven is not null or fresh is not null", name="has_keys"),
    schema=_SCHEMA,
)

# One row for each settlement that a till has asked for.
batch = sa.Table(
    "batch",
    metadata,
    sa.Column("terminal", Uuid, nullable=False),
    sa.Column("batch", sa.Integer, nullable=False),
    sa.Column("store", Uuid, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("debit_fen", Fen, nullable=False),
    sa.Column("debit_count", sa.Integer, nullable=False),
    sa.Column("credit_fen", Fen, nullable=False),
    sa.Column("credit_count", sa.Integer, nullable=False),
    sa.Column("claimed", sa.Text, nullable=False),
    sa.Column("asked_at", Instant, nullable=False),
    sa.Column("settled_at", Instant, index=True),
    # What was settled: [trace, direction, amount] for each message, as JSON.
    sa.Column("lines", sa.Text, nullable=False),
    # When it was looked at again for what came late.
    sa.Column("checked_at", Instant),
    sa.PrimaryKeyConstraint("terminal", "batch", name="pk_batch"),
    sa.CheckConstraint("state in ('uploading', 'settled')", name="state"),
    sa.CheckConstraint("(state = 'settled') = (settled_at is not null)", name="settled_when"),
    sa.CheckConstraint("debit_fen >= 0 and credit_fen >= 0", name="sums"),
    sa.Index("ix_batch_asked_at", "asked_at", "terminal", "batch"),
    sa.Index("ix_batch_store", "store", "asked_at"),
    sa.Index(
        "ix_batch_unchecked",
        "settled_at",
        postgresql_where=sa.text("settled_at is not null and checked_at is null"),
    ),
    schema=_SCHEMA,
)

# What a till asked for besides paying, holding and asking: claimed before it is done.
entry = sa.Table(
    "entry",
    metadata,
    sa.Column("terminal", Uuid, nullable=False),
    sa.Column("batch", sa.Integer, nullable=False),
    sa.Column("trace", sa.Integer, nullable=False),
    sa.Column("verb", sa.Text, nullable=False),
    sa.Column("mac", BYTEA, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("subject", Uuid),
    sa.Column("reply", sa.Text),
    sa.Column("created_at", Instant, nullable=False),
    sa.PrimaryKeyConstraint("terminal", "batch", "trace", name="pk_entry"),
    sa.CheckConstraint("state in ('open', 'done', 'refused', 'undone', 'barred')", name="state"),
    sa.CheckConstraint("amount_fen >= 0", name="amount"),
    schema=_SCHEMA,
)

# What a till says it did, message by message, when its sums were not even.
uploaded = sa.Table(
    "uploaded",
    metadata,
    sa.Column("terminal", Uuid, nullable=False),
    sa.Column("batch", sa.Integer, nullable=False),
    sa.Column("trace", sa.Integer, nullable=False),
    sa.Column("direction", sa.SmallInteger, nullable=False),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.PrimaryKeyConstraint("terminal", "batch", "trace", "direction", name="pk_uploaded"),
    schema=_SCHEMA,
)

# Where till and host differ, for people to look into. The books stand.
difference = sa.Table(
    "difference",
    metadata,
    sa.Column("terminal", Uuid, nullable=False),
    sa.Column("batch", sa.Integer, nullable=False),
    sa.Column("trace", sa.Integer, nullable=False),
    sa.Column("direction", sa.SmallInteger, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("till_fen", Fen),
    sa.Column("host_fen", Fen),
    sa.Column("found_at", Instant, nullable=False, index=True),
    # By which two persons resolved it, and the approval that moved money for it.
    sa.Column("approval", Uuid),
    sa.Column("correction", Uuid),
    sa.Column("resolved_at", Instant),
    sa.PrimaryKeyConstraint(
        "terminal", "batch", "trace", "direction", "kind", name="pk_difference"
    ),
    sa.CheckConstraint("(approval is null) = (resolved_at is null)", name="resolved_when"),
    sa.CheckConstraint("correction is null or approval is not null", name="corrected"),
    sa.CheckConstraint("kind in ('till_only', 'host_only', 'amount', 'late')", name="kind"),
    schema=_SCHEMA,
)
