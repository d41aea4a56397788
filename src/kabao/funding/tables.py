"""Tables of the schema `funding`."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA

from kabao.base.schema import Fen, Instant, Uuid, metadata

_SCHEMA = "funding"
_STATES = (
    "state in ('created', 'pending', 'confirmed', 'reconciled', 'failed', 'expired',"
    " 'refunding', 'refunded', 'unknown')"
)

channel = sa.Table(
    "channel",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("company", Uuid, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("scenes", ARRAY(sa.Text), nullable=False),
    sa.Column("purposes", ARRAY(sa.Text), nullable=False),
    sa.Column("fee_ppm", sa.Integer, nullable=False),
    sa.Column("fee_min_fen", Fen, nullable=False),
    sa.Column("fee_max_fen", Fen),
    sa.Column("cycle", sa.Text, nullable=False),
    sa.Column("min_fen", Fen, nullable=False),
    sa.Column("max_fen", Fen),
    sa.Column("daily_fen", Fen),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("account", BYTEA, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False, index=True),
    sa.Column("created_at", Instant, nullable=False),
    sa.UniqueConstraint("company", "name"),
    sa.CheckConstraint("state in ('active', 'paused')", name="state"),
    sa.CheckConstraint("cycle in ('T+0', 'T+1', 'D+3')", name="cycle"),
    sa.CheckConstraint("cardinality(scenes) > 0", name="scenes"),
    sa.CheckConstraint(
        "fee_ppm between 0 and 1000000 and fee_min_fen >= 0 and fee_max_fen >= fee_min_fen",
        name="fee",
    ),
    sa.CheckConstraint("min_fen > 0 and max_fen >= min_fen and daily_fen >= 0", name="limits"),
    schema=_SCHEMA,
)

channel_offer = sa.Table(
    "channel_offer",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("account", BYTEA, nullable=False),
    sa.Column("asked_at", Instant, nullable=False),
    schema=_SCHEMA,
)

revision = sa.Table(
    "revision",
    metadata,
    sa.Column("id", sa.SmallInteger, primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.CheckConstraint("id = 1", name="one"),
    schema=_SCHEMA,
)

collection = sa.Table(
    "collection",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False, index=True),
    sa.Column("company", Uuid, nullable=False),
    sa.Column("store", Uuid),
    sa.Column("terminal", Uuid),
    sa.Column("programme", Uuid, nullable=False),
    sa.Column("scene", sa.Text, nullable=False),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("payer_ref", Uuid),
    sa.Column("no_credit", sa.Boolean, nullable=False),
    sa.Column("channel", sa.Text),
    sa.Column("return_url", sa.Text),
    sa.Column("face_to_face", sa.Boolean, nullable=False),
    sa.Column("by_unit", sa.Boolean, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("current", Uuid, nullable=False),
    sa.Column("wanted", sa.Boolean, nullable=False),
    sa.Column("settled", sa.Boolean, nullable=False),
    sa.Column("code", sa.Text),
    sa.Column("rule", sa.Text),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    sa.Column("business_date", sa.Date, nullable=False),
    sa.CheckConstraint("amount_fen > 0", name="positive"),
    sa.CheckConstraint(_STATES, name="state"),
    sa.CheckConstraint("expires_at > created_at", name="lives"),
    schema=_SCHEMA,
)

channel_order = sa.Table(
    "channel_order",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("collection", Uuid, sa.ForeignKey(collection.c.id), nullable=False),
    sa.Column("no", sa.Integer, nullable=False),
    sa.Column("channel", Uuid, sa.ForeignKey(channel.c.id), nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("channel_no", sa.Text),
    sa.Column("paid_at", Instant),
    sa.Column("funds", sa.Text, nullable=False),
    sa.Column("payer", BYTEA),
    sa.Column("begun_at", Instant),
    sa.Column("ask_at", Instant),
    sa.Column("asked", sa.Integer, nullable=False),
    sa.Column("asked_at", Instant),
    sa.Column("shown", sa.Text),
    sa.Column("reference", sa.Text),
    sa.Column("refusal", sa.Text),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    sa.UniqueConstraint("collection", "no"),
    sa.CheckConstraint(_STATES, name="state"),
    sa.CheckConstraint("no > 0 and asked >= 0", name="counts"),
    sa.CheckConstraint(
        "state not in ('confirmed', 'reconciled') or channel_no is not null", name="paid"
    ),
    schema=_SCHEMA,
)

sa.Index(
    "ix_channel_order_channel_no",
    channel_order.c.channel,
    channel_order.c.channel_no,
    postgresql_where=sa.text("channel_no is not null"),
)
sa.Index(
    "ix_channel_order_paid_at",
    channel_order.c.channel,
    channel_order.c.paid_at,
    postgresql_where=sa.text("paid_at is not null"),
)
sa.Index(
    "ix_channel_order_reference",
    channel_order.c.channel,
    channel_order.c.reference,
    postgresql_where=sa.text("reference is not null"),
)
sa.Index(
    "ix_channel_order_ask_at",
    channel_order.c.ask_at,
    postgresql_where=sa.text("ask_at is not null"),
)

refund = sa.Table(
    "refund",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("collection", Uuid, sa.ForeignKey(collection.c.id), nullable=False),
    sa.Column("channel_order", Uuid, sa.ForeignKey(channel_order.c.id), nullable=False, index=True),
    sa.Column("back", sa.Text, nullable=False),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("channel_no", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("refusal", sa.Text),
    sa.Column("sent_at", Instant),
    sa.Column("ask_at", Instant),
    sa.Column("asked", sa.Integer, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("done_at", Instant),
    sa.UniqueConstraint("collection", "key"),
    sa.CheckConstraint("amount_fen > 0", name="positive"),
    sa.CheckConstraint("back in ('asked', 'late', 'second', 'recalled')", name="back"),
    sa.CheckConstraint("state in ('unknown', 'done', 'refused', 'returned')", name="state"),
    schema=_SCHEMA,
)

sa.Index("ix_refund_ask_at", refund.c.ask_at, postgresql_where=sa.text("ask_at is not null"))

nonce = sa.Table(
    "nonce",
    metadata,
    sa.Column("channel", Uuid, primary_key=True),
    sa.Column("nonce", sa.Text, primary_key=True),
    sa.Column("taken_at", Instant, nullable=False, index=True),
    schema=_SCHEMA,
)

receipt = sa.Table(
    "receipt",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("channel", Uuid, sa.ForeignKey(channel.c.id), nullable=False),
    sa.Column("no", sa.Text, nullable=False),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("received_at", Instant, nullable=False),
    sa.Column("reference", sa.Text, nullable=False),
    sa.Column("payer", BYTEA),
    sa.Column("channel_order", Uuid),
    sa.Column("nobodys", sa.Text),
    sa.Column("seen_at", Instant, nullable=False),
    sa.UniqueConstraint("channel", "no"),
    sa.CheckConstraint("amount_fen > 0", name="positive"),
    sa.CheckConstraint("(channel_order is null) = (nobodys is not null)", name="whose"),
    schema=_SCHEMA,
)

listing = sa.Table(
    "listing",
    metadata,
    sa.Column("channel", Uuid, sa.ForeignKey(channel.c.id), primary_key=True),
    sa.Column("until", sa.Date, nullable=False),
    schema=_SCHEMA,
)

bill = sa.Table(
    "bill",
    metadata,
    sa.Column("channel", Uuid, sa.ForeignKey(channel.c.id), primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("ask_at", Instant),
    sa.Column("asked", sa.Integer, nullable=False),
    sa.Column("lines", sa.Integer, nullable=False),
    sa.Column("differences", sa.Integer, nullable=False),
    sa.Column("reason", sa.Text),
    sa.CheckConstraint("state in ('waiting', 'matched')", name="state"),
    schema=_SCHEMA,
)

sa.Index("ix_bill_ask_at", bill.c.ask_at, postgresql_where=sa.text("ask_at is not null"))
