"""RSA signatures as the channels use them: PKCS #1 v1.5 with SHA-256, in Base64."""

from __future__ import annotations

import base64
import binascii

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

MIN_BITS = 2048


def certificate(pem: str) -> x509.Certificate:
    """A certificate. Raises ValueError."""
    return x509.load_pem_x509_certificate(pem.encode())


def sign(key: RSAPrivateKey, message: bytes) -> str:
    """The signature of a message."""
    return base64.b64encode(key.sign(message, padding.PKCS1v15(), SHA256())).decode()


def holds(key: RSAPublicKey, message: bytes, signature: str) -> bool:
    """Whether the signature is the key's. False for whatever is malformed, too."""
    try:
        key.verify(
            base64.b64decode(signature, validate=True), message, padding.PKCS1v15(), SHA256()
        )
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def private_key(pem: bytes) -> RSAPrivateKey:
    """A private key of ours. Raises ValueError for another kind, or a short one."""
    key = load_pem_private_key(pem, None)
    if not isinstance(key, RSAPrivateKey) or key.key_size < MIN_BITS:
        raise ValueError(f"an RSA private key of at least {MIN_BITS} bits is needed")
    return key


def public_key(pem: bytes) -> RSAPublicKey:
    """A party's public key. Raises ValueError for another kind, or a short one."""
    key = load_pem_public_key(pem)
    if not isinstance(key, RSAPublicKey) or key.key_size < MIN_BITS:
        raise ValueError(f"an RSA public key of at least {MIN_BITS} bits is needed")
    return key
