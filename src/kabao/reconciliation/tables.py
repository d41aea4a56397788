"""Tables of the schema `reconciliation`."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA

from kabao.base.schema import Fen, Instant, Uuid, metadata

_SCHEMA = "reconciliation"
_KIND = "kind in ('pay', 'refund', 'recall', 'return', 'fee', 'settle', 'deposit')"
_No = sa.Text(collation="C")
"""Numbers are compared and sorted byte by byte."""

run = sa.Table(
    "run",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("company", Uuid, nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("lines_digest", BYTEA, nullable=False),
    sa.Column("books_digest", BYTEA),
    sa.Column("result_digest", BYTEA),
    sa.Column("lines", sa.Integer, nullable=False),
    sa.Column("books", sa.Integer, nullable=False),
    sa.Column("pairs", sa.Integer, nullable=False),
    sa.Column("breaks", sa.Integer, nullable=False),
    sa.Column("theirs_fen", Fen, nullable=False),
    sa.Column("ours_fen", Fen, nullable=False),
    sa.Column("fees_mfen", sa.BigInteger, nullable=False),
    sa.Column("received_fen", Fen),
    sa.Column("taken_at", Instant, nullable=False),
    sa.Column("brought_by", sa.Text),
    sa.CheckConstraint("state in ('taken', 'matched', 'finished', 'replaced')", name="state"),
    sa.CheckConstraint("received_fen >= 0", name="received"),
    sa.CheckConstraint(
        "state in ('taken', 'replaced') or result_digest is not null", name="result"
    ),
    schema=_SCHEMA,
)

sa.Index(
    "uq_run_of_day",
    run.c.source,
    run.c.subject,
    run.c.day,
    unique=True,
    postgresql_where=sa.text("state <> 'replaced'"),
)
sa.Index("ix_run_day", run.c.day)
sa.Index(
    "ix_run_unfinished",
    run.c.id,
    postgresql_where=sa.text("state in ('taken', 'matched')"),
)

line = sa.Table(
    "line",
    metadata,
    sa.Column("run", Uuid, nullable=False),
    sa.Column("no", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("our_no", _No, nullable=False),
    sa.Column("our_sub_no", _No, nullable=False),
    sa.Column("their_no", _No, nullable=False),
    sa.Column("original_no", _No, nullable=False, server_default=""),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("fee_mfen", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("at_us", sa.BigInteger, nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.PrimaryKeyConstraint("run", "no", name="pk_line"),
    sa.CheckConstraint("amount_fen >= 0", name="amount"),
    sa.CheckConstraint(_KIND, name="kind"),
    schema=_SCHEMA,
)

book = sa.Table(
    "book",
    metadata,
    sa.Column("run", Uuid, nullable=False),
    sa.Column("no", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("our_no", _No, nullable=False),
    sa.Column("our_sub_no", _No, nullable=False),
    sa.Column("their_no", _No, nullable=False),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("fee_mfen", sa.BigInteger),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("at_us", sa.BigInteger, nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.PrimaryKeyConstraint("run", "no", name="pk_book"),
    sa.CheckConstraint("amount_fen >= 0", name="amount"),
    sa.CheckConstraint(_KIND, name="kind"),
    schema=_SCHEMA,
)

pair = sa.Table(
    "pair",
    metadata,
    sa.Column("run", Uuid, nullable=False),
    sa.Column("line", sa.BigInteger, nullable=False),
    sa.Column("book", sa.BigInteger, nullable=False),
    sa.Column("round", sa.Text, nullable=False),
    sa.PrimaryKeyConstraint("run", "book", "line", name="pk_pair"),
    schema=_SCHEMA,
)

break_ = sa.Table(
    "break",
    metadata,
    sa.Column("run", Uuid, nullable=False),
    sa.Column("no", sa.Integer, nullable=False),
    sa.Column("id", Uuid, nullable=False, unique=True),
    sa.Column("class", sa.Text, nullable=False),
    sa.Column("line", sa.BigInteger),
    sa.Column("book", sa.BigInteger),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("our_no", _No, nullable=False),
    sa.Column("our_sub_no", _No, nullable=False),
    sa.Column("their_no", _No, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("why", sa.Text),
    sa.Column("closed_at", Instant),
    sa.Column("cleared_by", Uuid),
    sa.PrimaryKeyConstraint("run", "no", name="pk_break"),
    sa.CheckConstraint(
        "class in ('missing_here', 'missing_there', 'amount', 'status', 'duplicate', 'wrong_day',"
        " 'fee', 'currency')",
        name="class",
    ),
    sa.CheckConstraint("state in ('open', 'cleared', 'suspended', 'corrected')", name="state"),
    sa.CheckConstraint("(state = 'open') = (closed_at is null)", name="closed"),
    sa.CheckConstraint("cleared_by is null or state = 'cleared'", name="cleared_by"),
    sa.CheckConstraint("line is not null or book is not null", name="of_something"),
    schema=_SCHEMA,
)

sa.Index(
    "ix_break_our_no",
    break_.c.our_no,
    postgresql_where=sa.text("our_no <> ''"),
)
sa.Index("ix_break_their_no", break_.c.their_no, postgresql_where=sa.text("their_no <> ''"))
sa.Index(
    "ix_break_cleared_by",
    break_.c.cleared_by,
    postgresql_where=sa.text("cleared_by is not null"),
)
sa.Index("ix_break_open", break_.c.run, postgresql_where=sa.text("state = 'open'"))
