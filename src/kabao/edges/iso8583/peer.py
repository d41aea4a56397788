"""Who is at the other end of a connection."""

from __future__ import annotations

from kabao.base import logs

_log = logs.get("pos")


class Peer:
    """What is known of a connection's other end."""

    __slots__ = ("_told", "certified")

    def __init__(self, *, certified: bool) -> None:
        self.certified = certified
        """Whether it has shown a certificate, or none is asked for."""
        self._told: set[str] = set()

    def tell(self, fault: str, **about: str) -> None:
        """Log a kind of fault, the first time: whoever sends rubbish fills no disk with it."""
        if fault not in self._told:
            self._told.add(fault)
            _log.warning("pos.fault", kind=fault, **about)
