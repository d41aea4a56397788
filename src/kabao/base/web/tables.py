"""`base.idempotency`: the first answer to every POST, kept to be given again."""

from __future__ import annotations

import sqlalchemy as sa

from kabao.base.schema import Instant, Uuid, metadata

idempotency = sa.Table(
    "idempotency",
    metadata,
    sa.Column("company", Uuid, primary_key=True),
    sa.Column("route", sa.Text, primary_key=True, comment="method and path template"),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("mac", sa.LargeBinary, nullable=False, comment="keyed MAC of the parsed request"),
    sa.Column("status", sa.SmallInteger, comment="null only inside the claiming transaction"),
    sa.Column("body", sa.LargeBinary, comment="null again once a secret has been purged"),
    sa.Column("sealed", sa.Boolean, nullable=False, comment="body holds a one-time secret"),
    sa.Column("created_at", Instant, nullable=False),
    sa.CheckConstraint("length(key) between 1 and 255", name="key_length"),
    sa.CheckConstraint("length(mac) = 32", name="mac_length"),
    sa.CheckConstraint("status between 200 and 299", name="only_successes"),
    sa.CheckConstraint("body is not null or status is null or sealed", name="body_kept"),
    sa.Index(
        "ix_idempotency_secrets",
        "created_at",
        postgresql_where=sa.text("sealed and body is not null"),
    ),
    schema="base",
)
