"""Tables of the schema `notices`."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA

from kabao.base.schema import Instant, Uuid, metadata

_SCHEMA = "notices"

endpoint = sa.Table(
    "endpoint",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("company", Uuid, nullable=False, index=True),
    sa.Column("companies", ARRAY(Uuid)),
    sa.Column("stores", ARRAY(Uuid)),
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
