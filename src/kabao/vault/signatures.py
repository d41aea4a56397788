"""SM2 signatures by whatever this machine does them best with."""

from __future__ import annotations

from kabao import sm2
from kabao.vault import openssl


class Signer:
    """One signing key, ready to use. Its repr shows nothing."""

    __slots__ = ("_private", "public")

    def __init__(self, private: bytes) -> None:
        """Raises ValueError for what is no private key of SM2."""
        self._private, self.public = private, sm2.public_of(private)

    def sign(self, message: bytes) -> bytes:
        """64 bytes, r and s, under the default id."""
        library = openssl.load()
        sign = library.sign if library else sm2.sign
        return sign(self._private, self.public, message)


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the signature is the key's.

    False for whatever is malformed, too: a wrong length, a point off the curve,
    r or s out of range.
    """
    if sm2.point_of(public) is None or sm2.parts_of(signature) is None:
        return False
    library = openssl.load()
    check = library.verify if library else sm2.verify
    return check(public, message, signature)
