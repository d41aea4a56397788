"""What UnionPay signs, and whose certificate is believed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384, SHA512
from cryptography.x509.oid import NameOID

from kabao.adapters import rsa

VERSION, ENCODING, BY_CERTIFICATE = "5.1.0", "UTF-8", "01"
CERTIFICATE = "signPubKeyCert"
_DIGESTS = (SHA1, SHA256, SHA384, SHA512)
_NAME_PARTS = 3
_KNOWN_MAX = 16


def content(fields: Mapping[str, str]) -> bytes:
    """What the signature is over: hex of the digest of the sorted fields, empty ones left out."""
    joined = "&".join(
        f"{name}={fields[name]}" for name in sorted(fields) if fields[name] and name != "signature"
    )
    return hashlib.sha256(joined.encode()).hexdigest().encode()


def signed(key: RSAPrivateKey, cert_id: str, fields: Mapping[str, str]) -> dict[str, str]:
    """A message with its signature, by the certificate of that serial number."""
    whole = {
        "version": VERSION,
        "encoding": ENCODING,
        "signMethod": BY_CERTIFICATE,
        "certId": cert_id,
        **fields,
    }
    return {**whole, "signature": rsa.sign(key, content(whole))}


class Trust:
    """Whose messages are UnionPay's: those by a certificate of its name under its root.

    Args:
        root: the root certificate.
        between: the certificates between it and those that sign.
        signers: whom a certificate must be made out to: the third part of its common
            name, such as 中国银联股份有限公司.
    """

    def __init__(
        self, root: x509.Certificate, between: Sequence[x509.Certificate], signers: frozenset[str]
    ) -> None:
        self._root, self._between, self._signers = root, between, signers
        self._known: dict[str, tuple[x509.Certificate, RSAPublicKey]] = {}

    def holds(self, fields: Mapping[str, str], at: datetime) -> bool:
        """Whether a message was signed by UnionPay. False for whatever is malformed, too."""
        key = self._key(fields.get(CERTIFICATE, ""), at)
        return key is not None and rsa.holds(key, content(fields), fields.get("signature", ""))

    def _key(self, pem: str, at: datetime) -> RSAPublicKey | None:
        """The key of a certificate that is believed; what was found is kept for its next use."""
        found = self._known.get(pem)
        if found is None:
            found = self._read(pem, at)
            if found is None:
                return None
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            self._known[pem] = found
        certificate, key = found
        return key if _is_valid(certificate, at) else None

    def _read(self, pem: str, at: datetime) -> tuple[x509.Certificate, RSAPublicKey] | None:
        try:
            certificate = x509.load_pem_x509_certificate(pem.encode())
            key = certificate.public_key()
            believed = self._is_ours(certificate) and self._chains(certificate, at)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            return None  # parts of a certificate are parsed when they are asked for
        if not isinstance(key, RSAPublicKey) or key.key_size < rsa.MIN_BITS:
            return None
        return (certificate, key) if believed else None

    def _is_ours(self, certificate: x509.Certificate) -> bool:
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        parts = str(names[0].value).split("@") if len(names) == 1 else []
        return len(parts) >= _NAME_PARTS and parts[_NAME_PARTS - 1] in self._signers

    def _chains(self, certificate: x509.Certificate, at: datetime) -> bool:
        """Whether it leads to the root, by at most as many steps as there are certificates."""
        for _ in range(len(self._between) + 1):
            if _issued(self._root, certificate):
                return _is_valid(self._root, at)
            above = next(
                (one for one in self._between if _issued(one, certificate) and _is_valid(one, at)),
                None,
            )
            if above is None:
                return False
            certificate = above
        return False


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Whether one certificate is by another. SHA-1 is taken here, since UnionPay's authority
    signs with it; messages themselves are signed over SHA-256.
    """
    key, digest = issuer.public_key(), certificate.signature_hash_algorithm
    if certificate.issuer != issuer.subject or not isinstance(digest, _DIGESTS):
        return False
    if not isinstance(key, RSAPublicKey):
        return False
    try:
        key.verify(certificate.signature, certificate.tbs_certificate_bytes, PKCS1v15(), digest)
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints)
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return constraints.value.ca


def _is_valid(certificate: x509.Certificate, at: datetime) -> bool:
    return certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc


def fields_of(text: str) -> dict[str, str]:
    """An answer's fields. It is joined but not encoded, so a value in braces or brackets
    may hold `&`, and one may hold `=`. Raises ValueError for what is no such text.
    """
    fields: dict[str, str] = {}
    depth, start = 0, 0
    for at, sign in enumerate(text + "&"):
        if sign in "{[":
            depth += 1
        elif sign in "}]":
            depth -= 1
        elif sign == "&" and depth == 0:
            name, equals, value = text[start:at].partition("=")
            if not equals or name in fields:
                raise ValueError("no field, or the same one twice")
            fields[name], start = value, at + 1
    if depth:
        raise ValueError("a brace is not closed")
    return fields
