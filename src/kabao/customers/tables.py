"""Tables of the schema `customers`."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA

from kabao.base.schema import Instant, Uuid, metadata

_SCHEMA = "customers"

customer = sa.Table(
    "customer",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("company", Uuid, nullable=False),
    sa.Column("party", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("level", sa.Text, nullable=False),
    sa.Column("profile", BYTEA),
    sa.Column("phone_index", BYTEA),
    sa.Column("identity_index", BYTEA),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.CheckConstraint("party in ('person', 'unit')", name="party"),
    sa.CheckConstraint("level in ('none', 'phone', 'identity', 'face')", name="level"),
    sa.CheckConstraint("state in ('active', 'erased')", name="state"),
    sa.CheckConstraint("(state = 'erased') = (profile is null)", name="erased_is_empty"),
    sa.CheckConstraint(
        "profile is not null or (phone_index is null and identity_index is null)",
        name="erased_is_not_found",
    ),
    schema=_SCHEMA,
)

sa.Index(
    "ix_customer_phone",
    customer.c.phone_index,
    postgresql_where=sa.text("phone_index is not null"),
)
sa.Index(
    "uq_customer_identity",
    customer.c.identity_index,
    customer.c.company,
    unique=True,
    postgresql_where=sa.text("identity_index is not null"),
)

verification = sa.Table(
    "verification",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("customer", Uuid, sa.ForeignKey("customers.customer.id"), nullable=False, index=True),
    sa.Column("method", sa.Text, nullable=False),
    sa.Column("reference", sa.Text),
    sa.Column("verified_at", Instant, nullable=False),
    sa.Column("verified_by", sa.Text, nullable=False),
    sa.Column("voided_at", Instant),
    sa.CheckConstraint("length(reference) <= 64", name="reference_length"),
    schema=_SCHEMA,
)

consent = sa.Table(
    "consent",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("customer", Uuid, sa.ForeignKey("customers.customer.id"), nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("document_hash", sa.CHAR(64), nullable=False),
    sa.Column("given_at", Instant, nullable=False),
    sa.Column("recorded_by", sa.Text, nullable=False),
    sa.Column("withdrawn_at", Instant),
    sa.CheckConstraint("length(version) between 1 and 32", name="version_length"),
    sa.CheckConstraint("document_hash ~ '^[0-9a-f]{64}$'", name="hash_form"),
    sa.CheckConstraint("withdrawn_at >= given_at", name="withdrawn_after_given"),
    schema=_SCHEMA,
)

sa.Index("ix_consent_customer", consent.c.customer, consent.c.id)
