"""A world for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kabao.base.clock import FixedClock
from kabao.base.db import Database

from .make import World


@pytest.fixture
async def world(db: Database, tmp_path: Path, clock: FixedClock) -> AsyncIterator[World]:
    made = await World.make(db, tmp_path, clock)
    yield made
    made.access.close()
