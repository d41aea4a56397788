"""Tables of the schema `clearing`: where is paid to, and what was paid out."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA

from kabao.base.schema import Fen, Instant, Uuid, metadata

_SCHEMA = "clearing"

account = sa.Table(
    "account",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("company", Uuid, nullable=False),
    sa.Column("store", Uuid),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("holder", BYTEA, nullable=False),
    sa.Column("number_index", BYTEA, nullable=False, index=True),
    sa.Column("bank", sa.CHAR(12), nullable=False),
    sa.Column("last_digits", sa.CHAR(4), nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("created_at", Instant, nullable=False),
    sa.CheckConstraint("state in ('proposed', 'active', 'replaced', 'broken')", name="state"),
    sa.CheckConstraint("(state = 'broken') = (reason is not null)", name="broken"),
    schema=_SCHEMA,
)
sa.Index(
    "account_active",
    sa.func.coalesce(account.c.store, account.c.company),
    account.c.currency,
    unique=True,
    postgresql_where=account.c.state == "active",
)

payout_batch = sa.Table(
    "payout_batch",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("company", Uuid, nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("payouts", sa.Integer, nullable=False),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("digest", BYTEA),
    sa.Column("asked", sa.Integer, nullable=False),
    sa.Column("ask_at", Instant),
    sa.Column("approval", Uuid, nullable=False, unique=True),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("sent_at", Instant),
    sa.Column("channel", Uuid),
    sa.Column("heard_at", Instant),
    sa.CheckConstraint("state in ('made', 'sent', 'answered')", name="state"),
    sa.CheckConstraint("payouts > 0 and amount_fen > 0 and asked >= 0", name="counts"),
    sa.CheckConstraint("(state = 'answered') = (ask_at is null)", name="asked"),
    sa.CheckConstraint(
        "(digest is null) = (sent_at is null) and (channel is null) = (sent_at is null)"
        " and (state <> 'made' or sent_at is null)",
        name="sent",
    ),
    schema=_SCHEMA,
)
sa.Index(
    "payout_batch_due", payout_batch.c.ask_at, postgresql_where=payout_batch.c.ask_at.is_not(None)
)

payout = sa.Table(
    "payout",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("instruction", Uuid, sa.ForeignKey("clearing.instruction.id"), nullable=False),
    sa.Column("attempt", sa.SmallInteger, nullable=False),
    sa.Column("batch", Uuid, sa.ForeignKey(payout_batch.c.id), nullable=False, index=True),
    sa.Column("payer", Uuid, nullable=False),
    sa.Column("payee_company", Uuid, nullable=False),
    sa.Column("payee_store", Uuid),
    sa.Column("account", Uuid, sa.ForeignKey(account.c.id), nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("paid_at", Instant),
    sa.Column("ended_at", Instant),
    sa.UniqueConstraint("instruction", "attempt"),
    sa.CheckConstraint("state in ('ordered', 'paid', 'rejected', 'returned')", name="state"),
    sa.CheckConstraint("amount_fen > 0 and attempt > 0", name="positive"),
    sa.CheckConstraint(
        "(state in ('rejected', 'returned')) = (ended_at is not null)"
        " and (state in ('paid', 'returned')) = (paid_at is not null)",
        name="times",
    ),
    schema=_SCHEMA,
)
sa.Index(
    "payout_once",
    payout.c.instruction,
    unique=True,
    postgresql_where=payout.c.state.in_(["ordered", "paid"]),
)

returns_look = sa.Table(
    "returns_look",
    metadata,
    sa.Column("channel", Uuid, primary_key=True),
    sa.Column("day", sa.Date, nullable=False),
    schema=_SCHEMA,
)
