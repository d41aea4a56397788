"""The table by which a schema says which code may run on it."""

from __future__ import annotations

import sqlalchemy as sa

from kabao.base.schema import metadata

schema_version = sa.Table(
    "schema_version",
    metadata,
    # One row and never two.
    sa.Column("id", sa.SmallInteger, primary_key=True, server_default="1", autoincrement=False),
    sa.Column("min_code_version", sa.Text, nullable=False),
    sa.CheckConstraint("id = 1", name="one_row"),
    schema="base",
)
