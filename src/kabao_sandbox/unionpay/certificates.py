"""A root, a certificate between, and those that sign under them."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from kabao_sandbox.party import keys

SIGNER = "041@Z12@中国银联股份有限公司@00000001"
_YEARS = timedelta(days=3650)


class Certificates:
    """UnionPay's, and a stranger's under the same root."""

    def __init__(self, now: datetime, new_key: keys.New) -> None:
        self._now = now
        root_key, between_key = new_key(), new_key()
        self.key, self.forger = new_key(), new_key()
        self.root = self._issue("Sandbox Root CA", root_key, "Sandbox Root CA", root_key, ca=True)
        self.between = self._issue(
            "Sandbox OCA1", between_key, "Sandbox Root CA", root_key, ca=True
        )
        self.own = self._issue(SIGNER, self.key, "Sandbox OCA1", between_key, ca=False)
        self.strangers = self._issue(
            "041@Z12@somebody else@00000002", self.forger, "Sandbox OCA1", between_key, ca=False
        )

    def _issue(
        self, name: str, key: keys.Private, by: str, by_key: keys.Private, *, ca: bool
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(_named(by))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - _YEARS)
            .not_valid_after(self._now + _YEARS)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        return builder.sign(by_key, hashes.SHA256())


def pem(certificate: x509.Certificate) -> str:
    """As it is sent."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
