"""The one SQLAlchemy metadata every slice's `tables.py` adds its tables to.

It describes the schema for Alembic's autogenerate and for the drift test;
statements are plain SQL. One PostgreSQL schema per slice, named like it.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Uuid = sa.Uuid(as_uuid=False)
"""An identifier. In Python it is 32 hex characters (`base.ids`)."""

Instant = sa.DateTime(timezone=True)
"""A moment, always with time zone."""

Fen = sa.BigInteger
"""An amount in fen; the column's name ends in `_fen` or says `balance`."""
