"""Who may have a notification verified: anybody, until too much of what they send is false."""

from __future__ import annotations

from collections import Counter, OrderedDict
from ipaddress import AddressValueError, IPv6Address

import msgspec

from kabao.policy import names
from kabao.policy.model import Rules

US_PER_MINUTE = 60_000_000
PEERS_MAX = 10_000
"""Peers that are remembered; more of them share what is left of the channel's allowance."""


class Allowance(msgspec.Struct, frozen=True):
    """How many false notifications are verified within a minute (ATK-9)."""

    of_peer: int
    of_channel: int
    row: str

    @classmethod
    def of(cls, rules: Rules) -> Allowance:
        """Take it from resolved rules."""
        return cls(
            rules.int(names.FUNDING_NOTICE_FALSE_OF_PEER_COUNT),
            rules.int(names.FUNDING_NOTICE_FALSE_OF_CHANNEL_COUNT),
            rules.row(names.FUNDING_NOTICE_FALSE_OF_PEER_COUNT),
        )


class Gate:
    """Counts, in the memory of this process, what was false: a flood must not write.

    A peer is *vouched for* once a signature of its was right. It is let through whatever
    others send, and what else comes from its address: behind a proxy all have one address,
    and the channel's own must not wait for a forger. Where channels have addresses of their
    own, a flood is stopped by its address, and one from many by the channel's allowance.
    """

    def __init__(self) -> None:
        self._minute = 0
        self._of_peer: Counter[tuple[str, str]] = Counter()
        self._of_channel: Counter[str] = Counter()
        self._vouched: OrderedDict[tuple[str, str], None] = OrderedDict()

    def admits(self, channel: str, peer: str, allowed: Allowance, now_us: int) -> bool:
        """Whether a notification is looked at."""
        self._turn(now_us)
        who = channel, _place(peer)
        if who in self._vouched:
            return True
        few = self._of_peer[who] < allowed.of_peer
        return few and self._of_channel[channel] < allowed.of_channel

    def false(self, channel: str, peer: str) -> None:
        """It could not be verified."""
        who = channel, _place(peer)
        if who in self._vouched:
            return
        self._of_channel[channel] += 1
        if who in self._of_peer or len(self._of_peer) < PEERS_MAX:
            self._of_peer[who] += 1

    def true(self, channel: str, peer: str) -> None:
        """Its signature was right."""
        who = channel, _place(peer)
        self._vouched[who] = None
        self._vouched.move_to_end(who)
        if len(self._vouched) > PEERS_MAX:
            self._vouched.popitem(last=False)

    def _turn(self, now_us: int) -> None:
        minute = now_us // US_PER_MINUTE
        if minute != self._minute:
            self._minute = minute
            self._of_peer.clear()
            self._of_channel.clear()


def _place(peer: str) -> str:
    """An address; of IPv6 its network, of which one machine has all addresses."""
    try:
        return IPv6Address(peer.partition("%")[0]).exploded[:19]
    except AddressValueError:
        return peer
