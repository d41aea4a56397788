"""What banks' messages travel in: a line for each part, then the body, signed; forms joined."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from kabao_sandbox.party import keys, moment
from kabao_sandbox.party.http import Request, Response
from kabao_sandbox.party.moment import Now

AGE_S = 300
_YEARS = timedelta(days=3650)


class Envelope:
    """A bank's keys and certificate, and its merchant's key."""

    def __init__(self, name: str, merchant: str, serial: str, now: Now, new_key: keys.New) -> None:
        self._merchant, self._serial, self._now = merchant, serial, now
        self._key, self._merchant_key, self._forger = new_key(), new_key(), new_key()
        self._certificate = _certificate(self._key, name, now)

    def account(self) -> dict[str, object]:
        """What a merchant needs."""
        made = self._certificate.public_bytes(serialization.Encoding.PEM)
        return {
            "merchant": self._merchant,
            "serial": self._serial,
            "merchant_key": keys.pem(self._merchant_key),
            "certificates": [made.decode()],
        }

    def is_merchants(self, request: Request) -> bool:
        """Whether a question is the merchant's, and fresh."""
        said = request.headers
        at, nonce = said.get("gateway-time", ""), said.get("gateway-nonce", "")
        head = (self._merchant, request.method, request.target, at, nonce)
        return (
            said.get("gateway-merchant") == self._merchant
            and said.get("gateway-serial") == self._serial
            and at.isdigit()
            and abs(int(at) - self._now() // moment.US) <= AGE_S
            and self._holds(_lines(*head, body=request.body), said.get("gateway-signature", ""))
        )

    def is_merchants_form(self, fields: Mapping[str, str]) -> bool:
        """Whether a form is the merchant's."""
        names = sorted(name for name in fields if name != "signature")
        joined = "&".join(f"{name}={fields[name]}" for name in names).encode()
        ours = fields.get("merchant") == self._merchant
        return ours and self._holds(joined, fields.get("signature", ""))

    def answer(self, request: Request, status: int, body: bytes, kind: str) -> Response:
        """An answer; what is signed begins with the nonce of the question."""
        nonce = request.headers.get("gateway-nonce", "")
        return Response(status, body, kind, self._headers(self._key, nonce, str(status), body=body))

    def notice(self, body: bytes, nonce: str, kind: str, *, forged: bool) -> dict[str, str]:
        """The headers of a notification."""
        key = self._forger if forged else self._key
        headers = self._headers(key, "NOTICE", nonce, body=body)
        return headers | {"Gateway-Nonce": nonce, "Content-Type": kind}

    def _holds(self, text: bytes, signature: str) -> bool:
        return keys.check(self._merchant_key.public_key(), text, signature)

    def _headers(self, key: keys.Private, *parts: str, body: bytes) -> dict[str, str]:
        at = str(self._now() // moment.US)
        return {
            "Gateway-Serial": f"{self._certificate.serial_number:x}",
            "Gateway-Time": at,
            "Gateway-Signature": keys.sign(key, _lines(*parts, at, body=body)),
        }


def _lines(*parts: str, body: bytes) -> bytes:
    return b"\n".join([*(part.encode() for part in parts), body, b""])


def _certificate(key: keys.Private, name: str, now: Now) -> x509.Certificate:
    """The bank's, by itself."""
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    today = moment.at(now())
    builder = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(named)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - _YEARS)
        .not_valid_after(today + _YEARS)
    )
    return builder.sign(key, hashes.SHA256())
