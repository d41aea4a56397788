"""Tables of the schema `notices`."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, JSON

from kabao.base.schema import Instant, Uuid, metadata

_SCHEMA = "notices"

endpoint = sa.Table(
    "endpoint",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("company", Uuid, nullable=False, index=True),
    sa.Column("companies", ARRAY(Uuid)),
    sa.Column("stores", ARRAY(Uuid)),
    sa.Column("verbs", ARRAY(sa.Text), nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("types", ARRAY(sa.Text)),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("paused_for", sa.Text),
    sa.Column("secret", BYTEA, nullable=False),
    sa.Column("old_secret", BYTEA),
    sa.Column("old_until", Instant),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("failing_since", Instant),
    sa.Column("resting_until", Instant),
    sa.Column("overfull", sa.Boolean, nullable=False),
    sa.Column("missed_from", Instant),
    sa.Column("created_at", Instant, nullable=False),
    sa.CheckConstraint("state in ('active', 'paused')", name="state"),
    sa.CheckConstraint(
        "(state = 'paused') = (paused_for is not null)"
        " and (paused_for is null or paused_for in ('by_hand', 'failing', 'gone'))",
        name="paused_for",
    ),
    sa.CheckConstraint("(old_secret is null) = (old_until is null)", name="old_secret"),
    sa.CheckConstraint(
        "failures >= 0 and (failures = 0) = (failing_since is null)", name="failures"
    ),
    schema=_SCHEMA,
)

lane = sa.Table(
    "lane",
    metadata,
    sa.Column("endpoint", Uuid, nullable=False),
    sa.Column("lane", Uuid, nullable=False),
    sa.Column("pending", sa.Integer, nullable=False),
    sa.Column("next_at", Instant, nullable=False),
    sa.Column("lease", Uuid),
    sa.Column("leased_until", Instant),
    sa.PrimaryKeyConstraint("endpoint", "lane", name="pk_lane"),
    sa.CheckConstraint("pending >= 0", name="counted"),
    sa.CheckConstraint("(lease is null) = (leased_until is null)", name="lease"),
    schema=_SCHEMA,
)

sa.Index("ix_lane_due", lane.c.endpoint, lane.c.next_at)

delivery = sa.Table(
    "delivery",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("endpoint", Uuid, nullable=False),
    sa.Column("lane", Uuid, nullable=False),
    sa.Column("no", sa.BigInteger, sa.Identity(always=True), nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("last_status", sa.Integer),
    sa.Column("last_error", sa.Text),
    sa.Column("last_at", Instant),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("delivered_at", Instant),
    sa.UniqueConstraint("endpoint", "event"),
    sa.CheckConstraint("state in ('waiting', 'delivered', 'dead')", name="state"),
    sa.CheckConstraint("(state = 'delivered') = (delivered_at is not null)", name="delivered"),
    sa.CheckConstraint("attempts >= 0", name="attempts"),
    schema=_SCHEMA,
)

sa.Index(
    "ix_delivery_waiting",
    delivery.c.endpoint,
    delivery.c.lane,
    delivery.c.no,
    postgresql_where=delivery.c.state == sa.literal_column("'waiting'"),
)
sa.Index("ix_delivery_created_at", delivery.c.created_at)
sa.Index("ix_delivery_listed", delivery.c.endpoint, delivery.c.id)

template = sa.Table(
    "template",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("programme", Uuid, nullable=False),
    sa.Column("company", Uuid, nullable=False),
    sa.Column("event_type", sa.Text, nullable=False),
    sa.Column("medium", sa.Text, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("language", sa.Text, nullable=False),
    sa.Column("text_zh", sa.Text, nullable=False),
    sa.Column("text_en", sa.Text, nullable=False),
    sa.Column("wechat_template", sa.Text, nullable=False),
    sa.Column("fields", JSON, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("retired_at", Instant),
    sa.CheckConstraint("medium in ('sms', 'wechat')", name="medium"),
    sa.CheckConstraint("language in ('zh', 'en', 'both')", name="language"),
    sa.CheckConstraint("purpose in ('service', 'marketing')", name="purpose"),
    schema=_SCHEMA,
)

sa.Index(
    "uq_template_living",
    template.c.programme,
    template.c.event_type,
    template.c.medium,
    unique=True,
    postgresql_where=template.c.retired_at.is_(None),
)

text = sa.Table(
    "text",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("template", Uuid, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("card", Uuid, nullable=False, index=True),
    sa.Column("data", JSON, nullable=False),
    sa.Column("occurred_at", Instant, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_at", Instant, nullable=False),
    sa.Column("created_at", Instant, nullable=False, index=True),
    sa.Column("ended_at", Instant),
    sa.UniqueConstraint("template", "event"),
    sa.CheckConstraint(
        "state in ('waiting', 'sent', 'dropped', 'refused', 'unknown')"
        " and (state = 'waiting') = (ended_at is null)",
        name="state",
    ),
    sa.CheckConstraint("attempts >= 0", name="attempts"),
    schema=_SCHEMA,
)

sa.Index(
    "ix_text_waiting",
    text.c.next_at,
    postgresql_where=text.c.state == sa.literal_column("'waiting'"),
)

follower = sa.Table(
    "follower",
    metadata,
    sa.Column("customer", Uuid, primary_key=True),
    sa.Column("openid", BYTEA, nullable=False),
    sa.Column("followed_at", Instant, nullable=False),
    schema=_SCHEMA,
)
