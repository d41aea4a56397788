"""Tables of the schema `ledger`."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA

from kabao.base.schema import Fen, Instant, Uuid, metadata

_SCHEMA = "ledger"

root = sa.Table(
    "root",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("card", Uuid, nullable=False),
    sa.Column("programme", Uuid, nullable=False),
    sa.Column("issuer", Uuid, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("state", sa.SmallInteger, nullable=False),
    sa.Column("valid_until", sa.Date),
    sa.Column("principal_fen", Fen, nullable=False, server_default="0"),
    sa.Column("bonus_fen", Fen, nullable=False, server_default="0"),
    sa.Column("principal_held_fen", Fen, nullable=False, server_default="0"),
    sa.Column("bonus_held_fen", Fen, nullable=False, server_default="0"),
    sa.Column("seq", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("event_seq", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("secret_version", sa.Integer, nullable=False, server_default="1"),
    sa.Column("pin_tries", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Column("pin_locked_until_us", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("day", sa.Integer, nullable=False, server_default="0"),
    sa.Column("day_count", sa.Integer, nullable=False, server_default="0"),
    sa.Column("day_sum_fen", Fen, nullable=False, server_default="0"),
    sa.Column("burst_from_us", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("burst_count", sa.Integer, nullable=False, server_default="0"),
    sa.Column("opened_at", Instant, nullable=False),
    sa.CheckConstraint(
        "principal_fen >= 0 and bonus_fen >= 0 and principal_held_fen >= 0 and bonus_held_fen >= 0",
        name="never_negative",
    ),
    schema=_SCHEMA,
    # Room in each page lets an update stay on it (HOT): no index is touched.
    postgresql_with={"fillfactor": "70"},
)

transfer = sa.Table(
    "transfer",
    metadata,
    sa.Column("root", Uuid, nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("op", Uuid, nullable=False),
    sa.Column("related", Uuid),
    sa.Column("debit", sa.SmallInteger, nullable=False),
    sa.Column("credit", sa.SmallInteger, nullable=False),
    sa.Column("house", Uuid),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("principal_after_fen", Fen, nullable=False),
    sa.Column("bonus_after_fen", Fen, nullable=False),
    sa.Column("held_after_fen", Fen, nullable=False),
    sa.Column("purpose", sa.SmallInteger, nullable=False),
    sa.Column("issuer", Uuid, nullable=False),
    sa.Column("selling_store", Uuid),
    sa.Column("redeeming_store", Uuid),
    sa.Column("terminal", Uuid),
    sa.Column("cashier", Uuid),
    sa.Column("shift", Uuid),
    sa.Column("channel", sa.Text),
    sa.Column("occurred_at", Instant, nullable=False),
    sa.Column("recorded_at", Instant, nullable=False),
    sa.Column("business_date", sa.Date, nullable=False),
    sa.Column("writer", sa.Integer, nullable=False),
    sa.Column("batch", sa.BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("root", "seq", "business_date", name="pk_transfer"),
    sa.CheckConstraint("amount_fen > 0", name="positive"),
    sa.CheckConstraint("debit <> credit", name="two_accounts"),
    sa.CheckConstraint("debit < 10 or credit < 10", name="touches_its_root"),
    sa.CheckConstraint("(house is null) = (debit < 10 and credit < 10)", name="house_has_owner"),
    sa.CheckConstraint(
        "principal_after_fen >= 0 and bonus_after_fen >= 0 and held_after_fen >= 0",
        name="never_negative",
    ),
    schema=_SCHEMA,
    postgresql_partition_by="RANGE (business_date)",
)

sa.Index(
    "ix_transfer_recorded_brin",
    transfer.c.business_date,
    transfer.c.recorded_at,
    postgresql_using="brin",
)

house_transfer = sa.Table(
    "house_transfer",
    metadata,
    sa.Column("no", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("op", Uuid, nullable=False),
    sa.Column("debit", sa.SmallInteger, nullable=False),
    sa.Column("debit_owner", Uuid, nullable=False),
    sa.Column("credit", sa.SmallInteger, nullable=False),
    sa.Column("credit_owner", Uuid, nullable=False),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("purpose", sa.SmallInteger, nullable=False),
    sa.Column("issuer", Uuid, nullable=False),
    sa.Column("channel", sa.Text),
    sa.Column("related", Uuid),
    sa.Column("for_date", sa.Date),
    sa.Column("recorded_at", Instant, nullable=False),
    sa.Column("business_date", sa.Date, nullable=False),
    sa.Column("digest", BYTEA, nullable=False),
    sa.CheckConstraint("no > 0 and amount_fen > 0", name="positive"),
    sa.CheckConstraint("debit >= 10 and credit >= 10", name="touches_no_root"),
    sa.CheckConstraint("debit <> credit or debit_owner <> credit_owner", name="two_accounts"),
    schema=_SCHEMA,
)

sa.Index(
    "ix_house_transfer_debit",
    house_transfer.c.debit_owner,
    house_transfer.c.debit,
    house_transfer.c.business_date,
)
sa.Index(
    "ix_house_transfer_credit",
    house_transfer.c.credit_owner,
    house_transfer.c.credit,
    house_transfer.c.business_date,
)
sa.Index("ix_house_transfer_day", house_transfer.c.business_date, house_transfer.c.no)
sa.Index("ix_house_transfer_related", house_transfer.c.related)

metadata.info.setdefault("after_create", []).extend(
    [
        """
create function ledger.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '%.% is only ever added to', tg_table_schema, tg_table_name
    using errcode = 'insufficient_privilege';
end $$
""",
        """
create trigger house_transfer_stays before update or delete on ledger.house_transfer
  for each row execute function ledger.refuse_change()
""",
        """
create trigger house_transfer_never_emptied before truncate on ledger.house_transfer
  for each statement execute function ledger.refuse_change()
""",
    ]
)

lot = sa.Table(
    "lot",
    metadata,
    sa.Column("root", Uuid, nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("op", Uuid, nullable=False),
    sa.Column("principal_fen", Fen, nullable=False),
    sa.Column("bonus_fen", Fen, nullable=False),
    sa.Column("price_fen", Fen, nullable=False),
    sa.Column("contract_date", sa.Date, nullable=False),
    sa.Column("selling_store", Uuid),
    sa.Column("selling_company", Uuid),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("payer", Uuid),
    sa.Column("recorded_at", Instant, nullable=False),
    sa.PrimaryKeyConstraint("root", "seq", name="pk_lot"),
    sa.CheckConstraint("principal_fen >= 0 and bonus_fen >= 0 and price_fen >= 0", name="amounts"),
    schema=_SCHEMA,
)

hold = sa.Table(
    "hold",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("root", Uuid, nullable=False, index=True),
    sa.Column("state", sa.SmallInteger, nullable=False),
    sa.Column("principal_fen", Fen, nullable=False),
    sa.Column("bonus_fen", Fen, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    sa.CheckConstraint("principal_fen >= 0 and bonus_fen >= 0", name="never_negative"),
    schema=_SCHEMA,
)

sa.Index("ix_hold_open", hold.c.expires_at, postgresql_where=sa.text("state = 0"))

operation = sa.Table(
    "operation",
    metadata,
    sa.Column("company", Uuid, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("id", Uuid, nullable=False),
    sa.Column("root", Uuid),
    sa.Column("mac", BYTEA, nullable=False),
    sa.Column("state", sa.SmallInteger, nullable=False),
    sa.Column("result", sa.Text, nullable=False),
    sa.Column("recorded_at", Instant, nullable=False),
    sa.PrimaryKeyConstraint("company", "key", name="pk_operation"),
    schema=_SCHEMA,
)

writer = sa.Table(
    "writer",
    metadata,
    sa.Column("id", sa.Integer, sa.Identity(always=True), primary_key=True),
    sa.Column("shared", sa.Boolean, nullable=False),
    sa.Column("last_no", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("last_digest", BYTEA, nullable=False),
    schema=_SCHEMA,
    postgresql_with={"fillfactor": "50"},
)

batch = sa.Table(
    "batch",
    metadata,
    sa.Column("writer", sa.Integer, nullable=False),
    sa.Column("no", sa.BigInteger, nullable=False),
    sa.Column("transfers", sa.Integer, nullable=False),
    sa.Column("digest", BYTEA, nullable=False),
    sa.Column("business_date", sa.Date, nullable=False),
    sa.Column("recorded_at", Instant, nullable=False),
    sa.PrimaryKeyConstraint("writer", "no", name="pk_batch"),
    schema=_SCHEMA,
)

closed_day = sa.Table(
    "closed_day",
    metadata,
    sa.Column("business_date", sa.Date, primary_key=True),
    sa.Column("closed_at", Instant, nullable=False),
    sa.Column("transfers", sa.BigInteger, nullable=False),
    schema=_SCHEMA,
)

checkpoint = sa.Table(
    "checkpoint",
    metadata,
    sa.Column("account", sa.SmallInteger, nullable=False),
    sa.Column("owner", Uuid, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("business_date", sa.Date, nullable=False),
    sa.Column("debit_fen", Fen, nullable=False),
    sa.Column("credit_fen", Fen, nullable=False),
    sa.PrimaryKeyConstraint("account", "owner", "currency", "business_date", name="pk_checkpoint"),
    schema=_SCHEMA,
)
