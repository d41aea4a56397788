"""Run by Alembic for every command; the connection and tables are handed in."""

from __future__ import annotations

from alembic import context

from kabao.base.migrations import scope

context.configure(
    connection=context.config.attributes["connection"],
    **scope.options(context.config.attributes["connection"], context.config.attributes["metadata"]),
)
context.run_migrations()
