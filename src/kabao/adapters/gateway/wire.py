"""What is signed on the way to a gateway and back, and whom we believe."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from kabao.adapters import rsa
from kabao.adapters.gateway.products import Product
from kabao.base.clock import US_PER_S, from_us
from kabao.funding.model.answers import Why

MERCHANT, SERIAL, NONCE = "gateway-merchant", "gateway-serial", "gateway-nonce"
TIME, SIGNATURE = "gateway-time", "gateway-signature"
NOTICE = "NOTICE"
_TIME_DIGITS_MAX = 12


class Merchant(msgspec.Struct, frozen=True):
    """A merchant's account: who we are there, and both sides' keys."""

    merchant: str
    serial: str
    """Of our certificate."""
    key: RSAPrivateKey
    certificates: tuple[x509.Certificate, ...]
    """The bank's: the one it signs with, and the one it will."""
    product: Product
    banks: Mapping[str, int] = {}
    """The most each bank lets a payer pay at once, in fen; empty where there is one bank."""


def text(*parts: str, body: bytes) -> bytes:
    """What a signature is over: a line for each part, then the body."""
    return "".join(f"{part}\n" for part in parts).encode() + body + b"\n"


def headers(
    merchant: Merchant, method: str, target: str, body: bytes, now_us: int
) -> dict[str, str]:
    """Of a question."""
    moment, nonce = str(now_us // US_PER_S), secrets.token_hex(16)
    signed = text(merchant.merchant, method, target, moment, nonce, body=body)
    return {
        "content-type": "application/json",
        MERCHANT: merchant.merchant,
        SERIAL: merchant.serial,
        TIME: moment,
        NONCE: nonce,
        SIGNATURE: rsa.sign(merchant.key, signed),
    }


def form(merchant: Merchant, fields: Mapping[str, str]) -> dict[str, str]:
    """Fields for a payer's browser to post, signed: sorted and joined, empty ones left out."""
    whole = {
        name: value
        for name, value in {
            **fields,
            "merchant": merchant.merchant,
            "serial": merchant.serial,
        }.items()
        if value
    }
    joined = "&".join(f"{name}={whole[name]}" for name in sorted(whole))
    return {**whole, "signature": rsa.sign(merchant.key, joined.encode())}


def distrust(
    merchant: Merchant,
    said: Mapping[str, str],
    *parts: str,
    body: bytes,
    now_us: int,
    age_us: int,
) -> Why | None:
    """Why headers do not vouch for a body; None if they do.

    `parts` are what is signed before the moment of sending.
    """
    if not said.get(SIGNATURE):
        return Why.UNSIGNED
    moment = said.get(TIME, "")
    if not (moment.isascii() and moment.isdigit() and len(moment) <= _TIME_DIGITS_MAX):
        return Why.UNREADABLE
    key = _key(merchant, said.get(SERIAL, ""), now_us)
    if key is None:
        return Why.WRONG_KEY
    if not rsa.holds(key, text(*parts, moment, body=body), said[SIGNATURE]):
        return Why.FORGED
    return Why.STALE if abs(int(moment) * US_PER_S - now_us) > age_us else None


def _key(merchant: Merchant, serial: str, now_us: int) -> RSAPublicKey | None:
    now = from_us(now_us)
    for one in merchant.certificates:
        named = f"{one.serial_number:x}" == serial.lower()
        if named and one.not_valid_before_utc <= now <= one.not_valid_after_utc:
            key = one.public_key()
            long = isinstance(key, RSAPublicKey) and key.key_size >= rsa.MIN_BITS
            return key if isinstance(key, RSAPublicKey) and long else None
    return None
