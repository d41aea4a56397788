"""Tables of the kill switches, schema `policy`. Packs are files, not rows."""

from __future__ import annotations

import sqlalchemy as sa

from kabao.base.schema import Instant, Uuid, metadata

GROUP_ID = "0" * 32
"""Stands where a company or programme would when a switch holds for the whole group."""


def _setting() -> list[sa.Column[object] | sa.CheckConstraint]:
    """What a switch and a change of it have in common."""
    return [
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("scope_id", Uuid, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("set_by", sa.Text, nullable=False),
        sa.Column("approved_by", sa.Text),
        sa.Column("set_at", Instant, nullable=False),
        sa.CheckConstraint("scope in ('group', 'company', 'programme')", name="scope"),
        sa.CheckConstraint(f"(scope = 'group') = (scope_id = '{GROUP_ID}'::uuid)", name="scope_id"),
        sa.CheckConstraint("state in ('stopped', 'running')", name="state"),
        sa.CheckConstraint("length(name) between 1 and 40", name="name"),
        sa.CheckConstraint("length(reason) between 1 and 500", name="reason"),
        sa.CheckConstraint("length(set_by) between 1 and 100", name="set_by"),
        sa.CheckConstraint("length(approved_by) between 1 and 100", name="approved_by"),
        sa.CheckConstraint("approved_by <> set_by", name="two_persons"),
    ]


switch = sa.Table(
    "switch",
    metadata,
    *_setting(),
    sa.PrimaryKeyConstraint("name", "scope", "scope_id"),
    schema="policy",
)

switch_change = sa.Table(
    "switch_change",
    metadata,
    sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
    *_setting(),
    schema="policy",
)

switch_version = sa.Table(
    "switch_version",
    metadata,
    sa.Column("one", sa.Boolean, primary_key=True, autoincrement=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.CheckConstraint("one", name="one"),
    schema="policy",
)
