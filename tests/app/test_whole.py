"""What only the whole platform shows: its first page, and what is wired across slices."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.app.world import World, made, world


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path) as w:
        yield w


async def test_the_first_page_leads_to_what_there_is(w: World) -> None:
    page = await w.nobody.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    links = [part.split('"')[0] for part in page.text.split('href="')[1:]]
    assert {"/docs", "/docs/openapi.json", "/healthz", "/readyz", "/metrics"} == set(links)
    for link in links:
        assert (await w.nobody.get(link)).status_code == 200, link
    assert "http://" not in page.text, "nothing is loaded from elsewhere"
    assert "https://" not in page.text


async def test_every_look_at_a_customer_is_written_down(w: World) -> None:
    phone = "13800138000"
    new = {"party": "person", "name": "李雷", "phone": phone}
    customer = (await made(w.operator.post("/v1/customers", new)))["id"]
    await made(w.operator.get(f"/v1/customers/{customer}"))
    helper = w.by("call-centre")
    await made(helper.post("/v1/customers/find", {"phone": phone}))
    await made(helper.post("/v1/customers/find", {"phone": "13900139000"}))
    log = (await made(w.auditor.get("/v1/audit-log")))["data"]
    looks = [(row["verb"], row["subject"]) for row in log if row["verb"].startswith("customers:")]
    assert looks == [
        ("customers:by_phone", ""),
        ("customers:by_phone", customer),
        ("customers:opened", customer),
    ]
    assert len({row["actor"] for row in log if row["verb"].startswith("customers:")}) == 2
    assert phone not in str(log)
