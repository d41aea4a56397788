"""Keys of both sides. A party makes the merchant's too, as its console would."""

from __future__ import annotations

import base64
from collections.abc import Callable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

BITS = 2048
Private = rsa.RSAPrivateKey
Public = rsa.RSAPublicKey
New = Callable[[], Private]
"""Where keys come from."""


def new() -> Private:
    """A fresh key."""
    return rsa.generate_private_key(public_exponent=65537, key_size=BITS)


def pem(key: Private) -> str:
    """A private key to be handed over."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def public_pem(key: Private) -> str:
    """Its public half."""
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def sign(key: Private, text: bytes) -> str:
    """RSA with SHA-256, in Base64."""
    return base64.b64encode(key.sign(text, padding.PKCS1v15(), hashes.SHA256())).decode()


def check(key: Public, text: bytes, signature: str) -> bool:
    """Whether it is the key's."""
    try:
        key.verify(base64.b64decode(signature), text, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True
