"""What Alipay signs."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from kabao.adapters import rsa


def content(params: Mapping[str, str], without: frozenset[str] = frozenset({"sign"})) -> bytes:
    """Sorted by name, not encoded, empty values left out."""
    return "&".join(
        f"{name}={params[name]}" for name in sorted(params) if params[name] and name not in without
    ).encode()


def signed(key: RSAPrivateKey, params: Mapping[str, str]) -> dict[str, str]:
    """A request with its signature."""
    return {**params, "sign": rsa.sign(key, content(params))}


_NOTICE_WITHOUT = frozenset({"sign", "sign_type"})


def notice_holds(key: RSAPublicKey, params: Mapping[str, str]) -> bool:
    """Whether a notification is Alipay's: unlike a request it does not sign `sign_type`."""
    return rsa.holds(key, content(params, _NOTICE_WITHOUT), params.get("sign", ""))


def node_of(key: RSAPublicKey, name: str, body: bytes) -> bytes | None:
    """The answer in a body, if its signature holds.

    The signature is over the node's text as it was sent, so it is cut out and
    not built anew.
    """
    try:
        parts = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        signature = msgspec.json.decode(parts.get("sign", b'""'), type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    node = parts.get(name) or parts.get("error_response")
    if node is None or not rsa.holds(key, bytes(node), signature):
        return None
    return bytes(node)
