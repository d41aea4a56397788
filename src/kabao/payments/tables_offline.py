"""The table of what tills sold while their line was dead."""

from __future__ import annotations

import sqlalchemy as sa

from kabao.base.schema import Fen, Instant, Uuid, metadata

offline_sale = sa.Table(
    "offline_sale",
    metadata,
    sa.Column("terminal", Uuid, primary_key=True),
    sa.Column("sequence", sa.BigInteger, primary_key=True),
    sa.Column("store", Uuid, nullable=False),
    sa.Column("company", Uuid, nullable=False),
    sa.Column("cashier", Uuid),
    sa.Column("root", Uuid),
    sa.Column("issuer", Uuid),
    sa.Column("payment", Uuid),
    sa.Column("reference", sa.Text),
    sa.Column("amount_fen", Fen, nullable=False),
    sa.Column("paid_fen", Fen, nullable=False),
    sa.Column("lost_fen", Fen, nullable=False),
    sa.Column("refused_fen", Fen, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("rule", sa.Text),
    sa.Column("mac", sa.LargeBinary, nullable=False),
    sa.Column("occurred_at", Instant, nullable=False),
    sa.Column("uploaded_at", Instant, nullable=False),
    sa.Column("sold_on", sa.Date, nullable=False),
    sa.CheckConstraint("amount_fen > 0", name="positive"),
    sa.CheckConstraint(
        "paid_fen >= 0 and lost_fen >= 0 and refused_fen >= 0"
        " and paid_fen + lost_fen + refused_fen = amount_fen",
        name="parts",
    ),
    sa.CheckConstraint("refused_fen in (0, amount_fen)", name="refused_whole"),
    schema="payments",
)

sa.Index("ix_offline_sale_root", offline_sale.c.root, offline_sale.c.sold_on)
sa.Index("ix_offline_sale_day", offline_sale.c.sold_on, offline_sale.c.terminal)
