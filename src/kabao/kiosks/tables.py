"""Tables of the schema `kiosks`."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSON

from kabao.base.schema import Fen, Instant, Uuid, metadata

_SCHEMA = "kiosks"

kiosk = sa.Table(
    "kiosk",
    metadata,
    sa.Column("terminal", Uuid, primary_key=True),
    sa.Column("next_sequence", sa.BigInteger, nullable=False),
    sa.Column("box", Uuid),
    schema=_SCHEMA,
)

session = sa.Table(
    "session",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("terminal", Uuid, nullable=False),
    sa.Column("store", Uuid, nullable=False),
    sa.Column("company", Uuid, nullable=False),
    sa.Column("card", Uuid, nullable=False),
    sa.Column("last4", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("most_fen", Fen, nullable=False),
    sa.Column("stacked_fen", Fen, nullable=False),
    sa.Column("credited_fen", Fen, nullable=False),
    sa.Column("paid_fen", Fen, nullable=False),
    sa.Column("opened_at", Instant, nullable=False),
    sa.Column("last_at", Instant, nullable=False),
    sa.CheckConstraint("state in ('open', 'finished', 'left')", name="state"),
    sa.CheckConstraint("credited_fen >= 0 and paid_fen >= 0", name="never_negative"),
    sa.CheckConstraint("credited_fen + paid_fen <= stacked_fen", name="never_more_than_stacked"),
    schema=_SCHEMA,
)
sa.Index("ix_session_terminal", session.c.terminal, session.c.id)
sa.Index("ix_session_open", session.c.last_at, postgresql_where=sa.text("state = 'open'"))

event = sa.Table(
    "event",
    metadata,
    sa.Column("terminal", Uuid, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("value_fen", Fen),
    sa.Column("session", Uuid),
    sa.Column("box", Uuid),
    sa.Column("occurred_at", Instant, nullable=False),
    sa.Column("recorded_at", Instant, nullable=False),
    sa.PrimaryKeyConstraint("terminal", "sequence", name="pk_event"),
    sa.CheckConstraint(
        "type in ('accepted', 'stacked', 'rejected', 'jam', 'cassette_full',"
        " 'cassette_removed', 'cassette_inserted')",
        name="type",
    ),
    sa.CheckConstraint(
        "(type in ('accepted', 'stacked', 'rejected')) = (value_fen is not null)", name="value"
    ),
    sa.CheckConstraint("(type = 'stacked') = (box is not null)", name="box"),
    schema=_SCHEMA,
)
sa.Index("ix_event_box", event.c.box, postgresql_where=sa.text("box is not null"))
sa.Index("ix_event_session", event.c.session, postgresql_where=sa.text("session is not null"))

credit = sa.Table(
    "credit",
    metadata,
    sa.Column("topup", Uuid, primary_key=True),
    sa.Column("session", Uuid, sa.ForeignKey("kiosks.session.id"), nullable=False, index=True),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("by", Uuid),
    sa.Column("reason", sa.Text),
    sa.Column("created_at", Instant, nullable=False),
    sa.CheckConstraint("amount_fen > 0", name="positive"),
    sa.CheckConstraint("(by is null) = (reason is null)", name="who_says_why"),
    schema=_SCHEMA,
)

payout = sa.Table(
    "payout",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("session", Uuid, sa.ForeignKey("kiosks.session.id"), nullable=False, index=True),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("way", sa.Text, nullable=False),
    sa.Column("drawer_entry", Uuid),
    sa.Column("payee", Uuid),
    sa.Column("approval", Uuid),
    sa.Column("by", Uuid, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.CheckConstraint("amount_fen > 0", name="positive"),
    sa.CheckConstraint("way in ('cash', 'transfer')", name="way"),
    sa.CheckConstraint("(way = 'cash') = (drawer_entry is not null)", name="cash_from_a_drawer"),
    sa.CheckConstraint(
        "(way = 'transfer') = (payee is not null) and (way = 'transfer') = (approval is not null)",
        name="transfers_take_two",
    ),
    schema=_SCHEMA,
)

box = sa.Table(
    "box",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("terminal", Uuid, nullable=False),
    sa.Column("store", Uuid, nullable=False),
    sa.Column("opened_at", Instant, nullable=False),
    sa.Column("removed_at", Instant),
    sa.Column("counted_at", Instant),
    sa.Column("expected_fen", Fen),
    sa.Column("counted_fen", Fen),
    sa.Column("pieces", JSON),
    sa.CheckConstraint("counted_at is null or removed_at is not null", name="removed_first"),
    sa.CheckConstraint(
        "(counted_at is null) = (expected_fen is null) and (counted_at is null) ="
        " (counted_fen is null) and (counted_at is null) = (pieces is null)",
        name="counted_whole",
    ),
    schema=_SCHEMA,
)
sa.Index("ix_box_terminal", box.c.terminal, box.c.id)
