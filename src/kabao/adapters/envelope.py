"""What banks' messages travel in: who asks, when, and whose signature it is (decision 0037)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from kabao.adapters import rsa
from kabao.adapters.line import Answer, Line
from kabao.base.clock import US_PER_S, Clock, from_us
from kabao.funding.model.answers import Incoming, Unknown, Unreachable, Why

MERCHANT, SERIAL, NONCE = "gateway-merchant", "gateway-serial", "gateway-nonce"
TIME, SIGNATURE = "gateway-time", "gateway-signature"
NOTICE = "NOTICE"
_TIME_DIGITS_MAX = 12


class Partner(msgspec.Struct, frozen=True):
    """Both sides of a contract: who we are there, and both sides' keys."""

    merchant: str
    serial: str
    """Of our certificate."""
    key: RSAPrivateKey
    certificates: tuple[x509.Certificate, ...]
    """The bank's: the one it signs with, and the one it will."""


class Envelope:
    """Signs what we ask; believes what the bank signed.

    Args:
        line: to the bank.
        partner: the contract.
        clock: the time.
        age_s: how old an answer or a notification may be, by its signed moment.
    """

    def __init__(self, line: Line, partner: Partner, clock: Clock, *, age_s: int) -> None:
        self._line, self._partner, self._clock = line, partner, clock
        self._age_us = age_s * US_PER_S

    async def ask(
        self, method: str, target: str, body: bytes, *, most: int, kind: str = "application/json"
    ) -> Answer | Unreachable | Unknown:
        """An answer that is the bank's, to this very question."""
        partner, nonce = self._partner, secrets.token_hex(16)
        moment = str(self._clock.now_us() // US_PER_S)
        signed = _text(partner.merchant, method, target, moment, nonce, body=body)
        headers = {
            "content-type": kind,
            MERCHANT: partner.merchant,
            SERIAL: partner.serial,
            TIME: moment,
            NONCE: nonce,
            SIGNATURE: rsa.sign(partner.key, signed),
        }
        answer = await self._line.ask(method, target, headers=headers, content=body, most=most)
        if not isinstance(answer, Answer):
            return answer
        why = self._distrust(answer.headers, nonce, str(answer.status), body=answer.body)
        return answer if why is None else Unknown(f"the answer is {why}")

    def distrust(self, incoming: Incoming) -> Why | None:
        """Why a notification is not believed; None if it is the bank's."""
        nonce = incoming.headers.get(NONCE, "")
        return self._distrust(incoming.headers, NOTICE, nonce, body=incoming.body)

    def _distrust(self, said: Mapping[str, str], *parts: str, body: bytes) -> Why | None:
        """`parts` are what is signed before the moment of sending."""
        now_us = self._clock.now_us()
        if not said.get(SIGNATURE):
            return Why.UNSIGNED
        moment = said.get(TIME, "")
        if not (moment.isascii() and moment.isdigit() and len(moment) <= _TIME_DIGITS_MAX):
            return Why.UNREADABLE
        key = _key(self._partner, said.get(SERIAL, ""), now_us)
        if key is None:
            return Why.WRONG_KEY
        if not rsa.holds(key, _text(*parts, moment, body=body), said[SIGNATURE]):
            return Why.FORGED
        return Why.STALE if abs(int(moment) * US_PER_S - now_us) > self._age_us else None


def form(partner: Partner, fields: Mapping[str, str]) -> dict[str, str]:
    """Fields for a payer's browser to post, signed: sorted and joined, empty ones left out."""
    ours = {"merchant": partner.merchant, "serial": partner.serial}
    whole = {name: value for name, value in {**fields, **ours}.items() if value}
    joined = "&".join(f"{name}={whole[name]}" for name in sorted(whole))
    return {**whole, "signature": rsa.sign(partner.key, joined.encode())}


def _text(*parts: str, body: bytes) -> bytes:
    """What a signature is over: a line for each part, then the body."""
    return "".join(f"{part}\n" for part in parts).encode() + body + b"\n"


def _key(partner: Partner, serial: str, now_us: int) -> RSAPublicKey | None:
    """Of the certificate with that number, if it is valid now."""
    now = from_us(now_us)
    for one in partner.certificates:
        named = f"{one.serial_number:x}" == serial.lower()
        if named and one.not_valid_before_utc <= now <= one.not_valid_after_utc:
            key = one.public_key()
            return key if isinstance(key, RSAPublicKey) and key.key_size >= rsa.MIN_BITS else None
    return None
