"""Chance that can be repeated."""

from __future__ import annotations

from random import Random  # noqa: TID251 -- seeded, and no secret is drawn from it

Chance = Random
