"""Secrets are nowhere in clear: not in the database, its files, a log, or an error (ATK-14).

Whatever numbers, PINs, tracks, phones and identity numbers the tests before
have used on this platform are looked for, and a marker that must be found.
"""

from __future__ import annotations

import re
import secrets
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from kabao.base.db import Database
from kabao.base.postgres.binaries import find_binaries
from kabao.vault.model import Suite

from .clocked import clocked
from .site import Site
from .world import Actors

DIGITS = re.compile(rb"[0-9]{10,}[0-9Xx]?")
HEX = re.compile(rb"\\\\x([0-9a-f]{20,})")


class Known:
    """Secrets by length, and the search for them in any text."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._by_length: dict[int, set[bytes]] = {}
        for text in texts:
            for run in DIGITS.findall(text.encode()):
                self._by_length.setdefault(len(run), set()).add(run)

    def within(self, text: bytes) -> set[bytes]:
        """Those that stand in a text, however they are surrounded."""
        found = set()
        for run in DIGITS.findall(text):
            for length, known in self._by_length.items():
                for start in range(len(run) - length + 1):
                    if run[start : start + length] in known:
                        found.add(run[start : start + length])
        return found


async def use_everything(actors: Actors) -> str:
    """Secrets on every way they can come in, right and wrong; returns a marker in clear."""
    marker = f"9{secrets.randbelow(10**18):018}"
    holder = await actors.person()
    card = await actors.card(5_000)
    named = await actors.card(5_000, programme=actors.world.registered, holder=holder)
    await actors.paid(card, 1, reference=marker)
    for source in (card.by_number, card.by_track, card.by_barcode, card.guessed):
        await actors.pay(source, 1)
        await actors.inquire(source)
        body = {k: v for k, v in actors.topup_body(card, 1).items() if k != "card"}
        await actors.merchant.post("/v1/topups", body | {"source": source})
    new_pin = f"{secrets.randbelow(10**12):012}"
    actors.world.secrets.add(new_pin)
    body = {"old_pin": card.pin, "new_pin": new_pin}
    await actors.operator.post(f"/v1/cards/{card.id}/pin", body)
    # Bad requests that hold secrets: the error must not repeat them.
    await actors.merchant.post("/v1/payments", {"source": card.by_number, "pin": card.pin})
    await actors.merchant.post("/v1/payments", {card.number: card.pin})
    await actors.merchant.post("/v1/payments", {"source": {"type": card.number}})
    await actors.merchant.get(f"/v1/payments?{card.number}={card.pin}")
    await actors.merchant.get(f"/v1/payments/{card.number}")
    await actors.merchant.get(f"/v1/{card.number}")
    # Ways of asking for the holder, and two cards for one.
    await actors.operator.made(
        f"/v1/cards/{named.id}/replace",
        {
            "claim": {"type": "holder", "customer": holder},
            "carrier": "electronic",
            "reason": "secret_seen",
        },
    )
    return marker


def dump(url: str) -> bytes:
    """Every row of every table, as text."""
    program = str(find_binaries() / "bin" / "pg_dump")
    return subprocess.run([program, "--data-only", url], capture_output=True, check=True).stdout


def with_bytes(text: bytes) -> bytes:
    """A dump with its bytea columns also read as text."""
    return text + b"\n".join(
        bytes.fromhex(run.decode()[: len(run) // 2 * 2]) for run in HEX.findall(text)
    )


def files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


@pytest.mark.row("B-13", "R-04", "P-24")
async def test_no_secret_is_kept_in_clear(actors: Actors, site: Site) -> None:
    marker = await use_everything(actors)
    known = Known(actors.world.secrets)
    text = with_bytes(dump(site.database_url))
    assert marker.encode() in text, "the search would find nothing"
    assert known.within(text) == set()
    assert known.within(site.log.read_bytes()) == set()


@pytest.mark.row("B-13", "R-04", "P-24")
async def test_nor_in_any_file(actors: Actors, site: Site) -> None:
    """Heap, indexes, write-ahead log, the server's own log, figures, keys."""
    marker = await use_everything(actors)
    with site.connect() as conn:
        conn.execute("checkpoint")
    known, seen, found = Known(actors.world.secrets), False, set[tuple[str, bytes]]()
    for path in files(site.data):
        text = path.read_bytes()
        seen = seen or marker.encode() in text
        found |= {(path.name, secret) for secret in known.within(text)}
    assert seen, "the search would find nothing"
    assert found == set()


async def test_answers_repeat_no_secret(actors: Actors) -> None:
    card = await actors.card(1_000)
    known = Known({card.number, card.pin, card.track2, card.barcode})
    replies = [
        await actors.pay(card, 1),
        await actors.pay(card.guessed, 1),
        await actors.pay(card, 10_000),
        await actors.inquire(card),
        await actors.merchant.post("/v1/payments", {"source": {"type": card.number}}),
        await actors.merchant.get(f"/v1/payments/{card.number}"),
        await actors.operator.get(f"/v1/cards/{card.id}"),
        await actors.operator.get(f"/v1/cards/{card.id}/changes"),
        await actors.operator.get("/v1/cards", limit=200),
    ]
    for reply in replies:
        assert known.within(reply.body) == set(), reply
    assert known.within((await actors.http.at(None).get("/metrics")).body) == set()


@pytest.mark.row("P-24", "R-04")
async def test_the_other_cipher_hides_as_much(db: Database, tmp_path: Path) -> None:
    """AES-256-GCM by setting (document 004) instead of SM4-GCM (document 000)."""
    async with clocked(db, tmp_path, suite=Suite.AES_256_GCM) as at:
        marker = await use_everything(at.actors)
        text = with_bytes(dump(db.url))
        assert marker.encode() in text
        assert Known(at.actors.world.secrets).within(text) == set()
