"""One platform of real processes for all scenarios of a test process, and a door for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from .http import Http
from .site import Site
from .world import Actors


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """Two servers, a worker and a database; nothing in it is killed."""
    made = Site()
    yield made
    made.stop()


@pytest_asyncio.fixture
async def actors(site: Site) -> AsyncIterator[Actors]:
    """Everybody, with connections of this test's own."""
    http = Http(site.port)
    yield Actors(http, site.world)
    await http.close()
