"""What a shift took is handed over for each issuer by itself."""

from __future__ import annotations

from pathlib import Path

from alembic import op

from kabao.base.migrations import initial

revision = "0057"
down_revision = "0056"
branch_labels = None
depends_on = None


def upgrade() -> None:
    initial.run_sql(op.get_bind(), Path(__file__).with_suffix(".sql").read_text())
