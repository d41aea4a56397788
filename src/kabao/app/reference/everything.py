"""Import the whole of Kabao, so that every registry is full."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import kabao

_RUN_ON_IMPORT = ("kabao.base.migrations.env", "kabao.base.migrations.versions.")
"""Modules that Alembic runs; importing them elsewhere is an error."""


def modules() -> Iterator[str]:
    """The name of every module that can be imported, in order."""
    for found in pkgutil.walk_packages(kabao.__path__, "kabao."):
        if not found.name.startswith(_RUN_ON_IMPORT) and not found.name.endswith("__main__"):
            yield found.name


def import_all() -> None:
    """Import them."""
    for name in modules():
        importlib.import_module(name)
