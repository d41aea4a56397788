"""What both sides sign: a line for each part, then the body; forms sorted and joined."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from kabao_sandbox.party import keys

_YEARS = timedelta(days=3650)


def lines(*parts: str, body: bytes) -> bytes:
    """Of questions, answers and notifications."""
    return b"\n".join([*(part.encode() for part in parts), body, b""])


def joined(fields: Mapping[str, str]) -> bytes:
    """Of a form."""
    names = sorted(name for name in fields if name != "signature")
    return "&".join(f"{name}={fields[name]}" for name in names).encode()


def certificate(key: keys.Private, name: str, now: datetime) -> x509.Certificate:
    """The bank's, by itself."""
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(named)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _YEARS)
        .not_valid_after(now + _YEARS)
    )
    return builder.sign(key, hashes.SHA256())


def pem(made: x509.Certificate) -> str:
    """To be handed over."""
    return made.public_bytes(serialization.Encoding.PEM).decode()
