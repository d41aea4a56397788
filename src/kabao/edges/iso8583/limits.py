"""What connections may use, and who waits when there is no more."""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """What one connection, and all of them together, may use.

    A message is *vouched for* when its MAC was right at first sight. Sign-ins and messages
    of sessions that have to be looked up are not, yet: anybody can send them, so they have
    a room of their own, and a crowd that holds no keys takes nothing from tills that do.
    """

    connections: int = 20_000
    in_flight: int = 64
    """Messages at work for one connection; more are not read from the socket."""
    unvouched: int = 16
    """Of these, messages that nothing vouches for."""
    in_flight_total: int = 4_096
    """Messages at work that are vouched for, of all connections."""
    unvouched_total: int = 4_096
    """The others. When they are too many, only who sent some of them has to wait."""
    idle_s: float = 900.0
    first_s: float = 30.0
    """From the connection to its first whole frame."""
    partial_s: float = 10.0
    """From the first byte of a frame to its last."""
    slow_s: float = 10.0
    """How long a peer may leave answers unread once the buffer is full, or once the host
    wants to hang up.
    """
    unread_bytes: int = 256 * 1024


class Room:
    """Room for so many messages at work, and a queue of those who wait for some."""

    __slots__ = ("_most", "_waiting", "used")

    def __init__(self, most: int) -> None:
        self._most, self.used = most, 0
        self._waiting: dict[object, Callable[[], None]] = {}

    @property
    def is_full(self) -> bool:
        """Whether as much is at work as may be."""
        return self.used >= self._most

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def wait(self, who: object, wake: Callable[[], None]) -> None:
        """Be woken in turn; whoever waits already keeps the place."""
        self._waiting.setdefault(who, wake)

    def forget(self, who: object) -> None:
        """Somebody waits no more."""
        self._waiting.pop(who, None)

    def offer(self) -> None:
        """Wake who waits, one after the other, while there is room."""
        while self._waiting and not self.is_full:
            self._waiting.pop(next(iter(self._waiting)))()
