"""Tables of the schema `clearing`: days, windows, settlements and netting runs."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, JSONB

from kabao.base.schema import Fen, Instant, Uuid, metadata

_SCHEMA = "clearing"

window = sa.Table(
    "window",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("no", sa.BigInteger, nullable=False, unique=True),
    sa.Column("day", sa.Date, nullable=False, unique=True),
    sa.Column("from_cut", JSONB),
    sa.Column("to_cut", JSONB, nullable=False),
    sa.Column("until", Instant, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("inputs_digest", BYTEA),
    sa.Column("result_digest", BYTEA),
    sa.Column("cut_at", Instant, nullable=False),
    sa.CheckConstraint("state in ('cut', 'figured')", name="state"),
    sa.CheckConstraint(
        "(state = 'figured') = (inputs_digest is not null and result_digest is not null)",
        name="figured_has_digests",
    ),
    schema=_SCHEMA,
)

settlement = sa.Table(
    "settlement",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("window", Uuid, sa.ForeignKey("clearing.window.id"), nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("issuer", Uuid, nullable=False),
    sa.Column("store", Uuid, nullable=False),
    sa.Column("company", Uuid, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("redeemed_fen", Fen, nullable=False),
    sa.Column("given_back_fen", Fen, nullable=False),
    sa.Column("fee_fen", Fen, nullable=False),
    sa.Column("fee_returned_fen", Fen, nullable=False),
    sa.Column("cash_fen", Fen, nullable=False),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("transfers", sa.BigInteger, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("run", Uuid),
    sa.Column("due_on", sa.Date),
    sa.CheckConstraint("state in ('provisional', 'kept_out', 'due')", name="state"),
    sa.CheckConstraint("(state = 'due') = (run is not null and due_on is not null)", name="due"),
    sa.CheckConstraint(
        "amount_fen = redeemed_fen - given_back_fen - fee_fen + fee_returned_fen - cash_fen",
        name="adds_up",
    ),
    sa.CheckConstraint(
        "redeemed_fen >= 0 and given_back_fen >= 0 and fee_fen >= 0 and fee_returned_fen >= 0",
        name="never_negative",
    ),
    sa.UniqueConstraint("window", "issuer", "store", "currency"),
    schema=_SCHEMA,
)
sa.Index("ix_settlement_day", settlement.c.day, settlement.c.id)
sa.Index("ix_settlement_store", settlement.c.store, settlement.c.day)
sa.Index("ix_settlement_run", settlement.c.run)

run = sa.Table(
    "run",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("window", Uuid, sa.ForeignKey("clearing.window.id"), nullable=False),
    sa.Column("no", sa.Integer, nullable=False),
    sa.Column("inputs", BYTEA, nullable=False),
    sa.Column("inputs_digest", BYTEA, nullable=False),
    sa.Column("result", BYTEA, nullable=False),
    sa.Column("result_digest", BYTEA, nullable=False),
    sa.Column("operation_company", Uuid),
    sa.Column("run_at", Instant, nullable=False),
    sa.CheckConstraint("no >= 0", name="numbered"),
    sa.UniqueConstraint("window", "no"),
    schema=_SCHEMA,
)

instruction = sa.Table(
    "instruction",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("run", Uuid, sa.ForeignKey("clearing.run.id"), nullable=False),
    sa.Column("window", Uuid, nullable=False),
    sa.Column("payer_company", Uuid, nullable=False),
    sa.Column("payee_store", Uuid),
    sa.Column("payee_company", Uuid, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("due_on", sa.Date, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("settlement_ids", ARRAY(Uuid), nullable=False),
    sa.CheckConstraint("amount_fen > 0", name="positive"),
    sa.CheckConstraint(
        "state in ('due', 'released', 'sent', 'paid', 'returned', 'held', 'carried')", name="state"
    ),
    schema=_SCHEMA,
)
sa.Index("ix_instruction_run", instruction.c.run)
sa.Index(
    "ix_instruction_open",
    instruction.c.due_on,
    postgresql_where=sa.text("state in ('due', 'released', 'sent', 'returned')"),
)

carry = sa.Table(
    "carry",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("debtor", Uuid, nullable=False),
    sa.Column("owner", Uuid, nullable=False),
    sa.Column("company", Uuid, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("for_date", sa.Date, nullable=False),
    sa.Column("from_run", Uuid),
    sa.Column("into_run", Uuid),
    sa.Column("noted_at", Instant, nullable=False),
    sa.CheckConstraint("amount_fen <> 0", name="something"),
    sa.CheckConstraint("reason in ('minimum', 'negative', 'adjustment')", name="reason"),
    schema=_SCHEMA,
)
sa.Index("ix_carry_open", carry.c.id, postgresql_where=sa.text("into_run is null"))
sa.Index("ix_carry_into", carry.c.into_run)
sa.Index("ix_carry_from", carry.c.from_run)

day = sa.Table(
    "day",
    metadata,
    sa.Column("business_date", sa.Date, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("soft_closed_at", Instant, nullable=False),
    sa.Column("hard_closed_at", Instant),
    sa.CheckConstraint("state in ('soft_closed', 'hard_closed')", name="state"),
    sa.CheckConstraint("(state = 'hard_closed') = (hard_closed_at is not null)", name="hard"),
    schema=_SCHEMA,
)

part = sa.Table(
    "part",
    metadata,
    sa.Column("business_date", sa.Date, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("breaks", sa.BigInteger, nullable=False),
    sa.Column("kept_out_at", Instant, nullable=False),
    sa.Column("closed_at", Instant),
    sa.PrimaryKeyConstraint("business_date", "source", "subject", name="pk_part"),
    schema=_SCHEMA,
)

rule = sa.Table(
    "rule",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("company", Uuid),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("effective_from", sa.Date, nullable=False),
    sa.Column("terms", JSONB, nullable=False),
    sa.Column("digest", BYTEA, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.UniqueConstraint("company", "version", postgresql_nulls_not_distinct=True),
    schema=_SCHEMA,
)

workday_override = sa.Table(
    "workday_override",
    metadata,
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("workday", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("said_at", Instant, nullable=False),
    schema=_SCHEMA,
)

workday_year = sa.Table(
    "workday_year",
    metadata,
    sa.Column("year", sa.SmallInteger, primary_key=True),
    sa.Column("said_at", Instant, nullable=False),
    schema=_SCHEMA,
)
