"""More tables of the schema `cards`: what happened to cards, and their stock.

`card_change` is only ever inserted: who did what to which card, when and why.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from kabao.base.schema import Fen, Instant, Uuid, metadata
from kabao.cards.tables import card

_SCHEMA = "cards"

# What the jobs look for; next to nothing of either at any time.
sa.Index(
    "ix_card_frozen_until",
    card.c.frozen_until,
    postgresql_where=sa.text("frozen_until is not null"),
)
sa.Index("ix_card_expires_on", card.c.expires_on, postgresql_where=sa.text("state = 'active'"))

card_change = sa.Table(
    "card_change",
    metadata,
    sa.Column("n", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("card", Uuid, nullable=False),
    sa.Column("verb", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("from_state", sa.Text, nullable=False),
    sa.Column("to_state", sa.Text, nullable=False),
    # On what the one who asked was believed: holder, possession, purchase, staff.
    sa.Column("basis", sa.Text, nullable=False),
    # The other card of a replacement, an exchange or a merge.
    sa.Column("other_card", Uuid),
    # Whom it concerned: the new holder of a transfer, the payee of a cash-out.
    sa.Column("party", Uuid),
    sa.Column("amount_fen", Fen),
    sa.Column("note", sa.Text, nullable=False, server_default=""),
    sa.Column("done_by", sa.Text, nullable=False),
    sa.Column("store", Uuid),
    sa.Column("terminal", Uuid),
    sa.Column("approval", Uuid),
    sa.Column("at", Instant, nullable=False),
    sa.CheckConstraint(
        "basis in ('holder', 'possession', 'purchase', 'staff', 'system')", name="basis"
    ),
    sa.CheckConstraint("amount_fen >= 0", name="amount"),
    sa.CheckConstraint("length(note) <= 200", name="note_length"),
    schema=_SCHEMA,
)

sa.Index("ix_card_change_card", card_change.c.card, card_change.c.n)

# An approved PIN reset that its maker has not carried out yet: the new PIN is
# drawn and shown only then, so no approval ever holds it.
pin_permit = sa.Table(
    "pin_permit",
    metadata,
    sa.Column("approval", Uuid, primary_key=True),
    sa.Column("card", Uuid, nullable=False, index=True),
    sa.Column("makers", ARRAY(sa.Text), nullable=False),
    sa.Column("until", Instant, nullable=False),
    sa.Column("used_at", Instant),
    schema=_SCHEMA,
)

location = sa.Table(
    "location",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("company", Uuid, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("store", Uuid),
    sa.Column("terminal", Uuid),
    sa.Column("created_at", Instant, nullable=False),
    sa.UniqueConstraint("company", "name", name="uq_location_name"),
    sa.CheckConstraint("kind in ('factory', 'headquarters', 'store', 'till')", name="kind"),
    sa.CheckConstraint("(store is not null) = (kind in ('store', 'till'))", name="store"),
    sa.CheckConstraint("(terminal is not null) = (kind = 'till')", name="terminal"),
    sa.CheckConstraint("length(name) between 1 and 80", name="name_length"),
    schema=_SCHEMA,
)

# One location for a store, one for a till.
sa.Index(
    "ux_location_store",
    location.c.store,
    unique=True,
    postgresql_where=sa.text("kind = 'store'"),
)
sa.Index(
    "ux_location_terminal",
    location.c.terminal,
    unique=True,
    postgresql_where=sa.text("kind = 'till'"),
)

# Where the cards of a batch are. That ranges never overlap is kept by the lock
# on the batch's row, under which every change of them is made.
stock_range = sa.Table(
    "stock_range",
    metadata,
    sa.Column("batch", Uuid, nullable=False),
    sa.Column("first_serial", sa.Integer, nullable=False),
    sa.Column("last_serial", sa.Integer, nullable=False),
    sa.Column("location", Uuid, sa.ForeignKey("cards.location.id"), nullable=False, index=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("handover", Uuid),
    sa.PrimaryKeyConstraint("batch", "first_serial", name="pk_stock_range"),
    sa.CheckConstraint("first_serial >= 1 and last_serial >= first_serial", name="serials"),
    sa.CheckConstraint("state in ('in_place', 'moving', 'missing')", name="state"),
    sa.CheckConstraint("(handover is not null) = (state = 'moving')", name="handover"),
    schema=_SCHEMA,
)

handover = sa.Table(
    "handover",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("batch", Uuid, nullable=False, index=True),
    sa.Column("first_serial", sa.Integer, nullable=False),
    sa.Column("last_serial", sa.Integer, nullable=False),
    sa.Column("from_location", Uuid, sa.ForeignKey("cards.location.id"), nullable=False),
    sa.Column("to_location", Uuid, sa.ForeignKey("cards.location.id"), nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("sent_count", sa.Integer, nullable=False),
    sa.Column("received_count", sa.Integer),
    sa.Column("sent_by", sa.Text, nullable=False),
    sa.Column("sent_at", Instant, nullable=False),
    sa.Column("ended_by", sa.Text),
    sa.Column("ended_at", Instant),
    sa.CheckConstraint("state in ('sent', 'received', 'cancelled')", name="state"),
    sa.CheckConstraint("from_location <> to_location", name="two_locations"),
    sa.CheckConstraint("first_serial >= 1 and last_serial >= first_serial", name="serials"),
    sa.CheckConstraint(
        "sent_count >= 1 and received_count between 0 and sent_count", name="counts"
    ),
    sa.CheckConstraint("(state = 'sent') = (ended_at is null)", name="ended"),
    schema=_SCHEMA,
)

sa.Index("ix_handover_from", handover.c.from_location, handover.c.id)
sa.Index("ix_handover_to", handover.c.to_location, handover.c.id)

stock_count = sa.Table(
    "stock_count",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("location", Uuid, sa.ForeignKey("cards.location.id"), nullable=False),
    sa.Column("batch", Uuid),
    sa.Column("expected", sa.Integer, nullable=False),
    sa.Column("counted", sa.Integer, nullable=False),
    sa.Column("note", sa.Text, nullable=False, server_default=""),
    sa.Column("counted_by", sa.Text, nullable=False),
    sa.Column("counted_at", Instant, nullable=False),
    sa.CheckConstraint("expected >= 0 and counted >= 0", name="counts"),
    sa.CheckConstraint("length(note) <= 200", name="note_length"),
    schema=_SCHEMA,
)

sa.Index("ix_stock_count_location", stock_count.c.location, stock_count.c.id)
