"""Tables of the schema `funding` that channels are chosen by."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSON

from kabao.base.schema import Fen, Instant, Uuid, metadata

_SCHEMA = "funding"

channel_minute = sa.Table(
    "channel_minute",
    metadata,
    sa.Column("channel", Uuid, primary_key=True),
    sa.Column("minute", sa.BigInteger, primary_key=True),
    sa.Column("succeeded", sa.Integer, nullable=False),
    sa.Column("refused", sa.Integer, nullable=False),
    sa.Column("failed", sa.Integer, nullable=False),
    sa.Column("took_ms", sa.BigInteger, nullable=False),
    sa.CheckConstraint(
        "succeeded >= 0 and refused >= 0 and failed >= 0 and took_ms >= 0", name="counts"
    ),
    schema=_SCHEMA,
)

sa.Index("ix_channel_minute_minute", channel_minute.c.minute)

channel_standing = sa.Table(
    "channel_standing",
    metadata,
    sa.Column("channel", Uuid, primary_key=True),
    sa.Column("is_open", sa.Boolean, nullable=False),
    sa.Column("since_us", sa.BigInteger, nullable=False),
    sa.Column("streak", sa.Integer, nullable=False),
    sa.Column("probe_us", sa.BigInteger),
    sa.Column("probes", sa.Integer, nullable=False),
    sa.Column("lowered", sa.Boolean, nullable=False),
    sa.CheckConstraint("is_open or (probe_us is null and probes = 0)", name="probes"),
    sa.CheckConstraint("not is_open or streak = 0", name="streak"),
    schema=_SCHEMA,
)

channel_day = sa.Table(
    "channel_day",
    metadata,
    sa.Column("channel", Uuid, primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("used_fen", Fen, nullable=False),
    sa.CheckConstraint("used_fen >= 0", name="used"),
    schema=_SCHEMA,
)

choice = sa.Table(
    "choice",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("collection", Uuid, nullable=False, index=True),
    sa.Column("channel", Uuid),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("share", sa.Text, nullable=False),
    sa.Column("lines", JSON, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.CheckConstraint("share in ('open', 'kept', 'returned')", name="share"),
    sa.CheckConstraint("channel is not null or share = 'returned'", name="nobody"),
    schema=_SCHEMA,
)

sa.Index("ix_choice_open", choice.c.id, postgresql_where=sa.text("share = 'open'"))

refused_choice = sa.Table(
    "refused_choice",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("company", Uuid, nullable=False),
    sa.Column("store", Uuid),
    sa.Column("programme", Uuid, nullable=False),
    sa.Column("scene", sa.Text, nullable=False),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("lines", JSON, nullable=False),
    sa.Column("created_at", Instant, nullable=False, index=True),
    schema=_SCHEMA,
)

channel_change = sa.Table(
    "channel_change",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("channel", Uuid, nullable=False, index=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("by_id", Uuid),
    sa.Column("by_name", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("facts", JSON, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.CheckConstraint(
        "kind in ('opened', 'closed', 'limit_set', 'limit_lowered', 'limit_restored')",
        name="kind",
    ),
    sa.CheckConstraint("(by_id is null) = (by_name is null)", name="by"),
    sa.CheckConstraint("(kind = 'limit_set') = (by_id is not null)", name="person"),
    schema=_SCHEMA,
)
