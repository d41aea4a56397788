"""openapi.json: the document that `/docs/openapi.json` serves."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import msgspec

from kabao.app.composition import Kabao
from kabao.app.server import build_web
from kabao.app.settings import Settings
from kabao.base.clock import RealClock
from kabao.base.db import Database
from kabao.vault.ops import FileKeys


def document() -> dict[str, Any]:
    """The OpenAPI document of the whole platform, which is composed but never started."""
    with tempfile.TemporaryDirectory(prefix="kabao-reference-") as folder:
        settings = Settings(data=Path(folder))
        FileKeys(settings.keys_file, RealClock(), create_if_missing=True)
        kabao = Kabao(settings, Database("postgresql://nowhere/none"), RealClock())
        return build_web(kabao).document


def openapi() -> str:
    """The page."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=1).decode() + "\n"
