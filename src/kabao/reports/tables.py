"""Tables of the schema `reports`."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA, JSONB

from kabao.base.schema import Instant, metadata

_SCHEMA = "reports"

roll = sa.Table(
    "roll",
    metadata,
    sa.Column("business_date", sa.Date, primary_key=True),
    sa.Column("rolls", JSONB, nullable=False),
    sa.Column("digest", BYTEA, nullable=False),
    sa.Column("kept_at", Instant, nullable=False),
    schema=_SCHEMA,
)
