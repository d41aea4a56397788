"""Seeded chance: the same seed plays the same day."""

from __future__ import annotations

from random import Random  # noqa: TID251 -- seeded, and no secret is drawn from it

Chance = Random
