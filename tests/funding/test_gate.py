"""A flood of false notifications is stopped before it is verified, and starves no true one."""

from __future__ import annotations

import pytest

from kabao.funding.ops.gate import PEERS_MAX, US_PER_MINUTE, Allowance, Gate

ALLOWED = Allowance(of_peer=3, of_channel=5, row="ATK-9")


def flood(gate: Gate, peer: str, count: int, channel: str = "c", at_us: int = 0) -> int:
    """Send so many false ones; how many were looked at."""
    looked = 0
    for _ in range(count):
        if gate.admits(channel, peer, ALLOWED, at_us):
            looked += 1
            gate.false(channel, peer)
    return looked


@pytest.mark.parametrize(("sent", "looked"), [(2, 2), (3, 3), (4, 3)])
def test_of_one_address(sent: int, looked: int) -> None:
    gate = Gate()
    assert flood(gate, "192.0.2.1", sent) == looked
    assert gate.admits("c", "192.0.2.2", ALLOWED, 0), "another one is heard"
    assert gate.admits("other", "192.0.2.1", ALLOWED, 0), "and at another channel"


def test_of_many_addresses_together() -> None:
    gate = Gate()
    gate.true("c", "192.0.2.99")
    assert sum(flood(gate, f"192.0.2.{n}", 1) for n in range(8)) == 5
    assert gate.admits("c", "192.0.2.99", ALLOWED, 0), "the channel itself is heard"
    assert flood(gate, "192.0.2.99", 100) == 100, "whatever comes from its address"


def test_the_next_minute_is_a_new_one() -> None:
    gate = Gate()
    assert flood(gate, "192.0.2.1", 9, at_us=US_PER_MINUTE - 1) == 3
    assert flood(gate, "192.0.2.1", 9, at_us=US_PER_MINUTE - 1) == 0
    assert flood(gate, "192.0.2.1", 9, at_us=US_PER_MINUTE) == 3


def test_a_network_of_ipv6_is_one_address() -> None:
    gate = Gate()
    assert flood(gate, "2001:db8::1", 2) + flood(gate, "2001:db8::ffff%eth0", 9) == 3
    assert gate.admits("c", "2001:db8:0:1::1", ALLOWED, 0)


def test_it_remembers_so_many() -> None:
    """The newest of the true, the first of the false; the others are the channel's."""
    gate, one = Gate(), Allowance(1, PEERS_MAX + 10, "ATK-9")
    for n in range(PEERS_MAX + 1):
        gate.true("c", f"a{n}")
    gate.admits("c", "", one, 0)
    for n in (0, 1):
        gate.false("c", f"a{n}")
    assert not gate.admits("c", "a0", one, 0)
    assert gate.admits("c", "a1", one, 0)
    for n in range(PEERS_MAX + 9):
        gate.false("d", f"b{n}")
    assert not gate.admits("d", "b0", one, 0)
    assert gate.admits("d", f"b{PEERS_MAX}", one, 0), "nobody remembers it"
    gate.false("d", "b")
    assert not gate.admits("d", f"b{PEERS_MAX}", one, 0)
