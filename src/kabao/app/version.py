"""Which Kabao this is; apart from everything else, so that asking costs nothing."""

from __future__ import annotations

from importlib.metadata import version

CODE_VERSION = version("kabao")
