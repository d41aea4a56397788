"""What a bank contradicts itself about is held, and not paid again."""

from __future__ import annotations

from pathlib import Path

from alembic import op

from kabao.base.migrations import initial

revision = "0058"
down_revision = "0057"
branch_labels = None
depends_on = None


def upgrade() -> None:
    initial.run_sql(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
