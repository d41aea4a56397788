"""Tables of the schema `clearing`: where is paid to, and what was paid out."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA

from kabao.base.schema import Instant, Uuid, metadata

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
