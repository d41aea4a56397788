"""Which addresses strangers may have us connect to."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_UNICAST = IPv6Network("2000::/3")
"""All IPv6 that is given to anybody. Mapped, translated and compatible IPv4 lie outside."""
_NEVER = (IPv4Network("192.88.99.0/24"), IPv4Network("0.0.0.0/8"))
"""Global by the registry's table, and nobody's server."""


def is_public(text: str) -> bool:
    """Whether this is the address of a host on the open internet.

    Loopback, private, link-local (where clouds keep their credentials), shared,
    reserved and multicast addresses are not; nor are IPv6 addresses that carry an
    IPv4 address inside (mapped, translated, 6to4, Teredo): a router may turn them
    into any of those. Whatever cannot be read is not.
    """
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        return _is_public_6(address)
    return _is_public_4(address)


def _is_public_4(address: IPv4Address) -> bool:
    plain = address.is_global and not address.is_multicast and not address.is_reserved
    return plain and not any(address in network for network in _NEVER)


def _is_public_6(address: IPv6Address) -> bool:
    carries_another = address.sixtofour is not None or address.teredo is not None
    return address in _UNICAST and address.is_global and not carries_another


def is_address(host: str) -> bool:
    """Whether a host is written as an address and not as a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
