"""Seeded chance, the only one a simulation has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random  # noqa: TID251 -- the one place chance comes from, and it is seeded
from typing import TypeVar

T = TypeVar("T")


class Chance:
    """A stream of decisions that a seed repeats exactly.

    Streams are divided by name (`child`), so that one more decision of one
    person changes nothing for anybody else, and what is decided never depends
    on the order in which answers arrive.
    """

    def __init__(self, seed: int | str) -> None:
        self._seed = str(seed)
        # Seeding by text hashes it with SHA-512: the same on every machine.
        self._random = Random(self._seed)  # noqa: S311 -- a simulation, not a secret

    def child(self, *names: object) -> Chance:
        """The stream of that name: always the same one, whatever was drawn before."""
        return Chance("/".join([self._seed, *map(str, names)]))

    def maybe(self, probability: float) -> bool:
        """True in that share of cases."""
        return self._random.random() < probability

    def share(self) -> float:
        """Anything from 0 to below 1."""
        return self._random.random()

    def between(self, low: float, high: float) -> float:
        """Anything from `low` to `high`."""
        return self._random.uniform(low, high)

    def whole(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return self._random.randint(low, high)

    def pick(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[int(self._random.random() * len(items))]

    def some(self, items: Sequence[T], count: int) -> list[T]:
        """That many different items, or all of them."""
        return self._random.sample(items, min(count, len(items)))

    def weighted(self, items: Sequence[T], weights: Sequence[float]) -> T:
        """One of the items, each as often as its weight says."""
        return self._random.choices(items, weights)[0]

    def poisson(self, mean: float) -> int:
        """How often something happens that happens `mean` times on average."""
        left, count = math.exp(-mean), 0
        product = self._random.random()
        while product > left:
            count += 1
            product *= self._random.random()
        return count

    def fen(self, median_fen: int, spread: float, low_fen: int, high_fen: int) -> int:
        """An amount as baskets are: log-normal around a median, within bounds.

        Prices end in 0, 8 or 9 jiao more often than not; fen are rare at a
        Chinese till, so the last digit is mostly 0.
        """
        raw = self._random.lognormvariate(math.log(median_fen), spread)
        amount = max(low_fen, min(high_fen, int(raw)))
        if amount > 100 and self._random.random() < 0.85:
            amount -= amount % 10
        return max(low_fen, amount)
