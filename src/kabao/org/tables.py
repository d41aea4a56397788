"""Tables of the schema `org`."""

from __future__ import annotations

import sqlalchemy as sa

from kabao.base.schema import Instant, Uuid, metadata

_SCHEMA = "org"

company = sa.Table(
    "company",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("issuer_type", sa.Text, nullable=False),
    sa.Column("jurisdiction", sa.Text, nullable=False),
    sa.Column("parent", Uuid, sa.ForeignKey("org.company.id"), index=True),
    sa.Column("credit_code", sa.CHAR(18), unique=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False, index=True),
    sa.CheckConstraint("length(name) between 1 and 120", name="name_length"),
    sa.CheckConstraint("issuer_type in ('group', 'brand', 'scale', 'other')", name="issuer_type"),
    sa.CheckConstraint("jurisdiction in ('national', 'beijing', 'shanghai')", name="jurisdiction"),
    sa.CheckConstraint("state in ('open', 'closed')", name="state"),
    sa.CheckConstraint("parent <> id", name="not_its_own_parent"),
    schema=_SCHEMA,
)

store = sa.Table(
    "store",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("company", Uuid, sa.ForeignKey("org.company.id"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("city", sa.Text, nullable=False),
    sa.Column("merchant_no", sa.CHAR(15), nullable=False, unique=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("closed_at", Instant),
    sa.Column("revision", sa.BigInteger, nullable=False, index=True),
    sa.UniqueConstraint("company", "code"),
    sa.CheckConstraint("length(name) between 1 and 120", name="name_length"),
    sa.CheckConstraint("length(code) between 1 and 32", name="code_length"),
    sa.CheckConstraint("length(region) <= 60 and length(city) <= 60", name="place_length"),
    sa.CheckConstraint("state in ('open', 'closed')", name="state"),
    sa.CheckConstraint("(state = 'closed') = (closed_at is not null)", name="closed_at"),
    schema=_SCHEMA,
)

brand_link = sa.Table(
    "brand_link",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("issuer", Uuid, sa.ForeignKey("org.company.id"), nullable=False),
    sa.Column("member", Uuid, sa.ForeignKey("org.company.id"), nullable=False),
    sa.Column("from_date", sa.Date, nullable=False),
    sa.Column("until_date", sa.Date),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False, index=True),
    sa.CheckConstraint("issuer <> member", name="two_companies"),
    # Equal: a link taken back before its first day.
    sa.CheckConstraint("until_date >= from_date", name="days"),
    schema=_SCHEMA,
)

sa.Index("ix_brand_link_pair", brand_link.c.issuer, brand_link.c.member)

# One row; it is made by the first change.
revision = sa.Table(
    "revision",
    metadata,
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.CheckConstraint("id = 1", name="one_row"),
    schema=_SCHEMA,
)
