"""The first schema, over all slices."""

from __future__ import annotations

from pathlib import Path

from alembic import context, op

from kabao.base.migrations import initial

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    frozen = Path(__file__).with_suffix(".sql")
    if frozen.exists():
        text = frozen.read_text()
    else:
        # Not released yet: the tables are still the source.
        attributes = context.config.attributes
        text = initial.schema_sql(
            attributes["metadata"], min_code_version=attributes["code_version"]
        )
    initial.run_sql(op.get_bind(), text)
