"""Tables of the schema `access`."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA

from kabao.base.schema import Instant, Uuid, metadata

_SCHEMA = "access"

operator = sa.Table(
    "operator",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("login", sa.Text, nullable=False, unique=True),
    sa.Column("company", Uuid, nullable=False, index=True),
    sa.Column("companies", ARRAY(Uuid)),
    sa.Column("stores", ARRAY(Uuid)),
    sa.Column("roles", ARRAY(sa.Text), nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("name", BYTEA),
    sa.Column("password_hash", sa.Text),
    sa.Column("totp_secret", BYTEA),
    sa.Column("totp_step", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("locked_until", Instant),
    sa.Column("invitation", BYTEA, unique=True),
    sa.Column("invited_until", Instant),
    sa.CheckConstraint("login ~ '^[a-z0-9][a-z0-9._-]{1,31}$'", name="login_form"),
    sa.CheckConstraint("state in ('invited', 'active', 'suspended')", name="state"),
    sa.CheckConstraint(
        "state <> 'active' or (password_hash is not null and totp_secret is not null)",
        name="active_has_secrets",
    ),
    sa.CheckConstraint("tries >= 0", name="tries"),
    schema=_SCHEMA,
)

api_key = sa.Table(
    "api_key",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("hint", sa.Text, nullable=False),
    sa.Column("token_hash", BYTEA, nullable=False, unique=True),
    sa.Column("owner", Uuid, sa.ForeignKey("access.operator.id"), nullable=False, index=True),
    sa.Column("company", Uuid, nullable=False, index=True),
    sa.Column("companies", ARRAY(Uuid)),
    sa.Column("stores", ARRAY(Uuid)),
    sa.Column("roles", ARRAY(sa.Text), nullable=False),
    sa.Column("verbs", ARRAY(sa.Text), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant),
    sa.Column("revoked_at", Instant),
    sa.Column("used_at", Instant),
    sa.CheckConstraint("length(name) between 1 and 64", name="name_length"),
    sa.CheckConstraint("length(token_hash) = 32", name="hash_length"),
    schema=_SCHEMA,
)

session = sa.Table(
    "session",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("operator", Uuid, sa.ForeignKey("access.operator.id"), nullable=False, index=True),
    sa.Column("token_hash", BYTEA, nullable=False, unique=True),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("seen_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False, index=True),
    sa.Column("ended_at", Instant),
    sa.CheckConstraint("length(token_hash) = 32", name="hash_length"),
    schema=_SCHEMA,
)

approval = sa.Table(
    "approval",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("company", Uuid, nullable=False),
    sa.Column("companies", ARRAY(Uuid)),
    sa.Column("payload", BYTEA, nullable=False),
    sa.Column("digest", BYTEA, nullable=False),
    sa.Column("seal", BYTEA, nullable=False),
    sa.Column("maker", Uuid, sa.ForeignKey("access.operator.id"), nullable=False, index=True),
    sa.Column("maker_via", Uuid, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    sa.Column("checker", Uuid, sa.ForeignKey("access.operator.id")),
    sa.Column("checker_via", Uuid),
    sa.Column("decision_reason", sa.Text),
    sa.Column("decided_at", Instant),
    sa.Column("result", BYTEA),
    sa.CheckConstraint("length(kind) between 1 and 40", name="kind_length"),
    sa.CheckConstraint("length(payload) <= 64000", name="payload_length"),
    sa.CheckConstraint("length(reason) between 1 and 255", name="reason_length"),
    sa.CheckConstraint(
        "state in ('pending', 'approved', 'refused', 'expired', 'executed')", name="state"
    ),
    # `is distinct from` and not `<>`: with an unknown checker the latter would let anything pass.
    sa.CheckConstraint("checker is distinct from maker", name="two_people"),
    sa.CheckConstraint(
        "(state in ('approved', 'refused', 'executed'))"
        " = (checker is not null and checker_via is not null and decided_at is not null)",
        name="decided_by_somebody",
    ),
    schema=_SCHEMA,
)

sa.Index(
    "ix_approval_pending", approval.c.expires_at, postgresql_where=sa.text("state = 'pending'")
)

audit_log = sa.Table(
    "audit_log",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", Instant, nullable=False, index=True),
    sa.Column("company", Uuid),
    sa.Column("actor", Uuid),
    sa.Column("via", Uuid),
    sa.Column("verb", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("approval", Uuid),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Column("digest", BYTEA, nullable=False),
    sa.Column("seal", BYTEA, nullable=False),
    sa.CheckConstraint("seq > 0", name="seq"),
    sa.CheckConstraint("outcome in ('done', 'refused')", name="outcome"),
    sa.CheckConstraint("length(verb) between 1 and 64", name="verb_length"),
    sa.CheckConstraint("length(subject) <= 80 and length(reason) <= 255", name="text_length"),
    sa.CheckConstraint("length(address) <= 64 and length(request_id) <= 64", name="origin_length"),
    schema=_SCHEMA,
)

sa.Index("ix_audit_log_actor", audit_log.c.actor, audit_log.c.seq)
sa.Index("ix_audit_log_subject", audit_log.c.subject, audit_log.c.seq)

# One row: the end of the chain. Whoever adds to the log holds it until the commit.
audit_head = sa.Table(
    "audit_head",
    metadata,
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("digest", BYTEA, nullable=False),
    sa.CheckConstraint("id = 1", name="one_row"),
    schema=_SCHEMA,
    postgresql_with={"fillfactor": "50"},
)

# One row, made by the first change that takes a permission away; caches follow it.
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
create function access.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '%.% is only ever added to', tg_table_schema, tg_table_name
    using errcode = 'insufficient_privilege';
end $$
""",
        """
create trigger audit_log_only_grows before update or delete on access.audit_log
  for each row execute function access.refuse_change()
""",
        """
create trigger audit_log_never_emptied before truncate on access.audit_log
  for each statement execute function access.refuse_change()
""",
    ]
)
