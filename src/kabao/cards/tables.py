"""Tables of the schema `cards`: programmes, cards, credentials, batches.

Stock and the history of states stand in `tables_stock.py`.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA, JSONB

from kabao.base.schema import Instant, Uuid, metadata

_SCHEMA = "cards"

programme = sa.Table(
    "programme",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("issuer", Uuid, nullable=False),
    sa.Column("card_class", sa.Text, nullable=False),
    sa.Column("currency", sa.CHAR(3), nullable=False),
    sa.Column("jurisdiction", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("terms", JSONB, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("changed_at", Instant, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False, index=True),
    sa.CheckConstraint("card_class in ('registered', 'bearer')", name="card_class"),
    sa.CheckConstraint("jurisdiction in ('national', 'beijing', 'shanghai')", name="jurisdiction"),
    sa.CheckConstraint("state in ('draft', 'active', 'suspended', 'retired')", name="state"),
    sa.CheckConstraint("version >= 1", name="version"),
    schema=_SCHEMA,
)

sa.Index("ix_programme_issuer", programme.c.issuer, programme.c.id)

# What a programme was at every version; only ever inserted.
programme_version = sa.Table(
    "programme_version",
    metadata,
    sa.Column("programme", Uuid, sa.ForeignKey("cards.programme.id"), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("terms", JSONB, nullable=False),
    sa.Column("changed_at", Instant, nullable=False),
    sa.Column("changed_by", sa.Text, nullable=False),
    sa.Column("approval", Uuid),
    sa.PrimaryKeyConstraint("programme", "version", name="pk_programme_version"),
    schema=_SCHEMA,
)

# One row per prefix; `issued` counts every number ever drawn from it.
number_range = sa.Table(
    "number_range",
    metadata,
    sa.Column("prefix", sa.Text, primary_key=True),
    sa.Column("programme", Uuid, sa.ForeignKey("cards.programme.id"), nullable=False, index=True),
    sa.Column("number_length", sa.SmallInteger, nullable=False),
    sa.Column("issued", sa.BigInteger, nullable=False, server_default="0"),
    sa.CheckConstraint("prefix ~ '^[0-9]{4,12}$'", name="prefix"),
    sa.CheckConstraint("number_length between 16 and 19", name="number_length"),
    sa.CheckConstraint("issued >= 0", name="issued"),
    schema=_SCHEMA,
)

# One row; made by the first change. Snapshots of programmes follow it.
revision = sa.Table(
    "revision",
    metadata,
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.CheckConstraint("id = 1", name="one_row"),
    schema=_SCHEMA,
)

# A carrier of value. No foreign keys: a million rows arrive by COPY.
card = sa.Table(
    "card",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("root", Uuid, nullable=False),
    sa.Column("programme", Uuid, nullable=False),
    sa.Column("carrier", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("state_at", Instant, nullable=False),
    # A freeze that ends by itself (ruling 3: 72 h on a bearer card).
    sa.Column("frozen_until", Instant),
    sa.Column("holder", Uuid),
    # The last day on which the card is good; null for ever.
    sa.Column("expires_on", sa.Date),
    sa.Column("last4", sa.CHAR(4), nullable=False),
    sa.Column("number_sealed", BYTEA, nullable=False),
    # Version of the card's own key (P-22); it stands in track and barcode.
    sa.Column("key_version", sa.SmallInteger, nullable=False, server_default="1"),
    # Where it was made: its place within a bulk issue, printed on the back.
    sa.Column("batch", Uuid),
    sa.Column("serial", sa.Integer),
    # Where a card outside any stock range lies.
    sa.Column("location", Uuid),
    sa.Column("replaces", Uuid),
    sa.Column("replaced_by", Uuid),
    sa.Column("issued_at", Instant, nullable=False),
    sa.Column("activated_at", Instant),
    sa.CheckConstraint("carrier in ('physical', 'electronic')", name="carrier"),
    sa.CheckConstraint(
        "state in ('in_stock', 'blocked', 'inactive', 'posted', 'active', 'frozen', 'lost',"
        " 'lost_frozen', 'expired', 'replaced', 'closed')",
        name="state",
    ),
    sa.CheckConstraint("last4 ~ '^[0-9]{4}$'", name="last4"),
    sa.CheckConstraint("key_version between 1 and 99", name="key_version"),
    sa.CheckConstraint("(batch is null) = (serial is null)", name="batch_and_serial"),
    sa.CheckConstraint("replaces <> id and replaced_by <> id", name="not_its_own_replacement"),
    schema=_SCHEMA,
    postgresql_with={"fillfactor": "90"},
)

sa.Index("ix_card_root", card.c.root)
sa.Index("ix_card_programme", card.c.programme, card.c.id)
sa.Index("ix_card_holder", card.c.holder, card.c.id, postgresql_where=sa.text("holder is not null"))
sa.Index(
    "ux_card_serial",
    card.c.batch,
    card.c.serial,
    unique=True,
    postgresql_where=sa.text("batch is not null"),
)

# What is shown at a till, found by keyed hash. `blind` is the first 128 bits of
# the blind index: a uuid because that is 16 bytes inline and travels as hex.
credential = sa.Table(
    "credential",
    metadata,
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("blind", Uuid, nullable=False),
    sa.Column("card", Uuid, nullable=False),
    sa.Column("root", Uuid, nullable=False),
    # Equal to the root's as long as this credential is the one in force.
    sa.Column("secret_version", sa.Integer, nullable=False, server_default="1"),
    sa.Column("pin_salt", BYTEA),
    sa.Column("pin_mac", BYTEA),
    sa.PrimaryKeyConstraint("kind", "blind", name="pk_credential"),
    sa.CheckConstraint("(pin_salt is null) = (pin_mac is null)", name="pin"),
    schema=_SCHEMA,
    postgresql_with={"fillfactor": "90"},
)

sa.Index("ix_credential_card", credential.c.card, credential.c.kind)

batch = sa.Table(
    "batch",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("programme", Uuid, nullable=False, index=True),
    sa.Column("carrier", sa.Text, nullable=False),
    sa.Column("reference", sa.Text, nullable=False),
    sa.Column("location", Uuid),
    sa.Column("requested", sa.Integer, nullable=False),
    sa.Column("issued", sa.Integer, nullable=False, server_default="0"),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("approval", Uuid),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("ended_at", Instant),
    sa.CheckConstraint("carrier in ('physical', 'electronic')", name="carrier"),
    sa.CheckConstraint("requested > 0", name="requested"),
    sa.CheckConstraint("issued between 0 and requested", name="issued"),
    sa.CheckConstraint("state in ('running', 'done', 'stopped')", name="state"),
    sa.CheckConstraint("length(reference) <= 120", name="reference_length"),
    schema=_SCHEMA,
)

# What one transaction of a bulk issue made, with its numbers and PINs sealed
# until they are shown once to whoever prints them, or have waited too long.
batch_chunk = sa.Table(
    "batch_chunk",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("batch", Uuid, sa.ForeignKey("cards.batch.id"), nullable=False),
    sa.Column("first_serial", sa.Integer, nullable=False),
    sa.Column("cards", sa.Integer, nullable=False),
    sa.Column("secrets_sealed", BYTEA),
    sa.Column("wipe_at", Instant, nullable=False),
    sa.Column("revealed_at", Instant),
    sa.UniqueConstraint("batch", "first_serial"),
    sa.CheckConstraint("first_serial >= 1 and cards >= 1", name="cards"),
    schema=_SCHEMA,
)

sa.Index(
    "ix_batch_chunk_wipe",
    batch_chunk.c.wipe_at,
    postgresql_where=sa.text("secrets_sealed is not null"),
)
