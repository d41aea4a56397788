"""Builders for the vault's tests."""

from datetime import UTC, datetime
from pathlib import Path

from kabao.base.clock import FixedClock
from kabao.vault.model import Suite
from kabao.vault.ops import FileKeys, Vault

START = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


def clock() -> FixedClock:
    return FixedClock(START)


def keys(folder: Path, at: FixedClock | None = None, suite: Suite = Suite.SM4_GCM) -> FileKeys:
    """The key file of a folder, made if it is not there."""
    return FileKeys(folder / "keys.json", at or clock(), create_if_missing=True, suite=suite)


def vault(folder: Path, at: FixedClock | None = None, suite: Suite = Suite.SM4_GCM) -> Vault:
    """A process's vault: two of one folder are two processes with the same key file."""
    at = at or clock()
    return Vault(keys(folder, at, suite), at, suite=suite)
