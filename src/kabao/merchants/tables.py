"""Tables of the schema `merchants`.

`store`, and a plan's `company`, are ids of the slice `org`, without foreign
keys: a slice's constraints stay within its own schema.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA, JSON

from kabao.base.schema import Fen, Instant, Uuid, metadata

_SCHEMA = "merchants"

terminal = sa.Table(
    "terminal",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("store", Uuid, nullable=False),
    sa.Column("terminal_no", sa.CHAR(8), nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("certification_scheme", sa.Text),
    sa.Column("certification_no", sa.Text),
    sa.Column("certification_expires_on", sa.Date),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False, index=True),
    sa.Column("kind", sa.Text, nullable=False, server_default="till"),
    sa.CheckConstraint("kind in ('till', 'kiosk')", name="kind"),
    sa.CheckConstraint("length(model) between 1 and 60", name="model_length"),
    sa.CheckConstraint(
        "(certification_scheme is null) = (certification_no is null)"
        " and (certification_scheme is not null or certification_expires_on is null)",
        name="certification_whole",
    ),
    sa.CheckConstraint("state in ('active', 'blocked', 'retired')", name="state"),
    schema=_SCHEMA,
)

# A retired terminal's number may have gone on to its successor.
sa.Index(
    "uq_terminal_number",
    terminal.c.store,
    terminal.c.terminal_no,
    unique=True,
    postgresql_where=sa.text("state <> 'retired'"),
)

cashier = sa.Table(
    "cashier",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("store", Uuid, nullable=False),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("name", BYTEA, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("customer", Uuid),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False, index=True),
    sa.UniqueConstraint("store", "code"),
    sa.CheckConstraint("length(code) between 1 and 16", name="code_length"),
    sa.CheckConstraint("role in ('cashier', 'supervisor')", name="role"),
    sa.CheckConstraint("state in ('active', 'left')", name="state"),
    schema=_SCHEMA,
)

cashier_pin = sa.Table(
    "cashier_pin",
    metadata,
    sa.Column("cashier", Uuid, sa.ForeignKey("merchants.cashier.id"), primary_key=True),
    sa.Column("salt", BYTEA, nullable=False),
    sa.Column("mac", BYTEA, nullable=False),
    sa.Column("tries", sa.SmallInteger, nullable=False),
    sa.Column("locked_until", Instant),
    sa.Column("set_at", Instant, nullable=False),
    sa.CheckConstraint("tries >= 0", name="tries"),
    schema=_SCHEMA,
)

override = sa.Table(
    "override",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("verb", sa.Text, nullable=False),
    sa.Column("store", Uuid, nullable=False),
    sa.Column("cashier", Uuid, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("supervisor", Uuid, sa.ForeignKey("merchants.cashier.id"), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    sa.Column("used_by", sa.Text),
    sa.CheckConstraint(
        "verb in ('typed_card', 'refund', 'void', 'topup_void', 'return', 'paid_out', 'drop')",
        name="verb",
    ),
    sa.CheckConstraint("length(subject) between 1 and 64", name="subject_length"),
    sa.CheckConstraint("amount_fen >= 0", name="amount"),
    sa.CheckConstraint("supervisor <> cashier", name="two_persons"),
    schema=_SCHEMA,
)

shift = sa.Table(
    "shift",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("store", Uuid, nullable=False),
    sa.Column("cashier", Uuid, sa.ForeignKey("merchants.cashier.id"), nullable=False),
    sa.Column("terminal", Uuid, sa.ForeignKey("merchants.terminal.id"), nullable=False),
    sa.Column("opened_at", Instant, nullable=False),
    sa.Column("closed_at", Instant),
    sa.Column("revision", sa.BigInteger, nullable=False, index=True),
    sa.CheckConstraint("closed_at >= opened_at", name="closed_after_opened"),
    schema=_SCHEMA,
)

sa.Index(
    "uq_shift_open", shift.c.cashier, unique=True, postgresql_where=sa.text("closed_at is null")
)
sa.Index("ix_shift_cashier", shift.c.cashier, shift.c.id)
sa.Index("ix_shift_store", shift.c.store, shift.c.id)

terminal_key = sa.Table(
    "terminal_key",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("terminal", Uuid, sa.ForeignKey("merchants.terminal.id"), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("algorithm", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("check_value", sa.CHAR(8), nullable=False),
    sa.Column("component", BYTEA),
    sa.Column("tmk", BYTEA),
    sa.Column("first_by", Uuid, nullable=False),
    sa.Column("second_by", Uuid),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("activated_at", Instant),
    sa.Column("ended_at", Instant),
    sa.Column("revision", sa.BigInteger, nullable=False, index=True),
    sa.UniqueConstraint("terminal", "version"),
    sa.CheckConstraint("version > 0", name="version"),
    sa.CheckConstraint("algorithm in ('3des', 'sm4')", name="algorithm"),
    sa.CheckConstraint("state in ('half', 'active', 'ended')", name="state"),
    sa.CheckConstraint("(state = 'half') = (component is not null)", name="component"),
    sa.CheckConstraint("(state = 'active') = (tmk is not null)", name="tmk"),
    sa.CheckConstraint("second_by <> first_by", name="two_persons"),
    sa.CheckConstraint(
        "(second_by is null) = (activated_at is null)"
        " and (state <> 'active' or second_by is not null)",
        name="whole_by_two",
    ),
    sa.CheckConstraint("(state = 'ended') = (ended_at is not null)", name="ended_at"),
    schema=_SCHEMA,
)

for _state in ("half", "active"):
    sa.Index(
        f"uq_terminal_key_{_state}",
        terminal_key.c.terminal,
        unique=True,
        postgresql_where=sa.text(f"state = '{_state}'"),
    )

z_report = sa.Table(
    "z_report",
    metadata,
    sa.Column("shift", Uuid, sa.ForeignKey("merchants.shift.id"), primary_key=True),
    sa.Column("terminal", Uuid, sa.ForeignKey("merchants.terminal.id"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("lines", JSON, nullable=False),
    sa.Column("cash_expected_fen", Fen, nullable=False),
    sa.Column("cash_declared_fen", Fen),
    sa.Column("created_at", Instant, nullable=False),
    sa.UniqueConstraint("terminal", "number"),
    sa.CheckConstraint("number > 0", name="number"),
    sa.CheckConstraint("cash_declared_fen >= 0", name="declared"),
    schema=_SCHEMA,
)

# Both are only ever added to, as a Z report.
drawer_entry = sa.Table(
    "drawer_entry",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("shift", Uuid, sa.ForeignKey("merchants.shift.id"), nullable=False, index=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("supervisor", Uuid, sa.ForeignKey("merchants.cashier.id")),
    sa.Column("created_at", Instant, nullable=False),
    sa.CheckConstraint(
        "kind in ('float', 'paid_in', 'paid_out', 'drop', 'slip', 'slip_undone', 'over', 'short')",
        name="kind",
    ),
    sa.CheckConstraint("amount_fen > 0", name="positive"),
    sa.CheckConstraint("(kind in ('float', 'over', 'short')) = (reason is null)", name="reason"),
    schema=_SCHEMA,
)
sa.Index(
    "uq_drawer_entry_slip",
    drawer_entry.c.kind,
    drawer_entry.c.reason,
    unique=True,
    postgresql_where=sa.text("kind in ('slip', 'slip_undone')"),
)

drawer_count = sa.Table(
    "drawer_count",
    metadata,
    sa.Column("shift", Uuid, sa.ForeignKey("merchants.shift.id"), nullable=False),
    sa.Column("no", sa.SmallInteger, nullable=False),
    sa.Column("pieces", JSON, nullable=False),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.PrimaryKeyConstraint("shift", "no", name="pk_drawer_count"),
    sa.CheckConstraint("no > 0 and amount_fen >= 0", name="amounts"),
    schema=_SCHEMA,
)

fee_plan = sa.Table(
    "fee_plan",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("company", Uuid, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("rate_bp", sa.Integer, nullable=False),
    sa.Column("per_item_fen", Fen, nullable=False),
    sa.Column("min_fen", Fen, nullable=False),
    sa.Column("max_fen", Fen),
    sa.Column("rounding", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False, index=True),
    sa.CheckConstraint("length(name) between 1 and 120", name="name_length"),
    sa.CheckConstraint("rate_bp between 0 and 10000", name="rate"),
    sa.CheckConstraint("per_item_fen >= 0 and min_fen >= 0 and max_fen >= min_fen", name="bounds"),
    sa.CheckConstraint("rounding in ('half_up', 'down', 'up')", name="rounding"),
    schema=_SCHEMA,
)

fee_term = sa.Table(
    "fee_term",
    metadata,
    sa.Column("store", Uuid, nullable=False),
    sa.Column("effective_from", sa.Date, nullable=False),
    sa.Column("plan", Uuid, sa.ForeignKey("merchants.fee_plan.id")),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False, index=True),
    sa.PrimaryKeyConstraint("store", "effective_from", name="pk_fee_term"),
    schema=_SCHEMA,
)

# One row; it is made by the first change.
revision = sa.Table(
    "revision",
    metadata,
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.CheckConstraint("id = 1", name="one_row"),
    schema=_SCHEMA,
)

metadata.info.setdefault("after_create", []).extend(
    [
        """
create function merchants.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '%.% is only ever added to', tg_table_schema, tg_table_name
    using errcode = 'insufficient_privilege';
end $$
""",
        """
create trigger z_report_stays before update or delete on merchants.z_report
  for each row execute function merchants.refuse_change()
""",
        """
create trigger z_report_never_emptied before truncate on merchants.z_report
  for each statement execute function merchants.refuse_change()
""",
        """
create trigger drawer_entry_stays before update or delete on merchants.drawer_entry
  for each row execute function merchants.refuse_change()
""",
        """
create trigger drawer_count_stays before update or delete on merchants.drawer_count
  for each row execute function merchants.refuse_change()
""",
    ]
)
