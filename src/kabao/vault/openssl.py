"""SM2 by the system's OpenSSL, where there is one that can: maintained C in constant time.

`cryptography` brings an OpenSSL of its own but shows no SM2, so the machine's
libcrypto (3.x, or 1.1.1) is called through ctypes. It is used only after it has
verified the standard's own signature and one it has just made; a build without
SM2 is as good as none. Elsewhere than on Linux nothing is tried: macOS ends a
process that loads its libcrypto.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from ctypes import POINTER, byref, c_char_p, c_int, c_long, c_size_t, c_ubyte, c_void_p
from functools import cache
from typing import Any

from kabao import sm2

_NAMES = ("libcrypto.so.3", "libcrypto.so.1.1")
_NID_SM2, _SET1_ID = 1172, 0x1000 + 11
_OF_3 = ("EVP_PKEY_CTX_set1_id",)

# DER around the raw keys: SEC 1 private key with its public point; SubjectPublicKeyInfo.
_CURVE_OID = bytes.fromhex("06082a811ccf5501822d")
_PRIVATE_DER = bytes.fromhex("30770201010420") + b"%b" + b"\xa0\x0a" + _CURVE_OID
_PRIVATE_DER += bytes.fromhex("a14403420004") + b"%b"
_PUBLIC_DER = bytes.fromhex("3059301306072a8648ce3d0201") + _CURVE_OID
_PUBLIC_DER += bytes.fromhex("03420004") + b"%b"

_POINTER, _NUMBER = c_void_p, c_int
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "d2i_AutoPrivateKey": (_POINTER, [c_void_p, POINTER(c_char_p), c_long]),
    "d2i_PUBKEY": (_POINTER, [c_void_p, POINTER(c_char_p), c_long]),
    "EVP_PKEY_free": (None, [c_void_p]),
    "EVP_PKEY_CTX_new": (_POINTER, [c_void_p, c_void_p]),
    "EVP_PKEY_CTX_free": (None, [c_void_p]),
    "EVP_MD_CTX_new": (_POINTER, []),
    "EVP_MD_CTX_free": (None, [c_void_p]),
    "EVP_MD_CTX_set_pkey_ctx": (None, [c_void_p, c_void_p]),
    "EVP_sm3": (_POINTER, []),
    "EVP_DigestSignInit": (_NUMBER, [c_void_p] * 5),
    "EVP_DigestVerifyInit": (_NUMBER, [c_void_p] * 5),
    "EVP_DigestSign": (_NUMBER, [c_void_p, c_void_p, POINTER(c_size_t), c_char_p, c_size_t]),
    "EVP_DigestVerify": (_NUMBER, [c_void_p, c_char_p, c_size_t, c_char_p, c_size_t]),
    "ERR_clear_error": (None, []),
}


class OpenSsl:
    """Signs and verifies like `sm2`. Raises OSError when the library refuses to sign."""

    def __init__(self, library: ctypes.CDLL) -> None:
        """Raises AttributeError for a library that lacks a function."""
        self._lib = library
        for name, (gives, takes) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = gives, takes
        self._of_1 = not all(hasattr(library, name) for name in _OF_3)
        if self._of_1:
            library.EVP_PKEY_set_alias_type.argtypes = [c_void_p, c_int]
            library.EVP_PKEY_CTX_ctrl.argtypes = [c_void_p, *[c_int] * 4, c_char_p]
        else:
            library.EVP_PKEY_CTX_set1_id.argtypes = [c_void_p, c_char_p, c_int]

    def sign(self, private: bytes, public: bytes, message: bytes) -> bytes:
        """64 bytes under the default id."""

        def work(context: int) -> bytes:
            size = c_size_t(128)
            der = (c_ubyte * 128)()
            if self._lib.EVP_DigestSign(context, der, byref(size), message, len(message)) != 1:
                raise OSError("OpenSSL does not sign")
            return _raw(bytes(der[: size.value]))

        key = _PRIVATE_DER % (private, public)
        signature: bytes = self._with_key("d2i_AutoPrivateKey", "EVP_DigestSignInit", key, work)
        return signature

    def verify(self, public: bytes, message: bytes, signature: bytes) -> bool:
        """Whether it is the key's. For keys and signatures that `sm2` finds well-formed."""
        der = _der(signature)

        def work(context: int) -> bool:
            found = self._lib.EVP_DigestVerify(context, der, len(der), message, len(message))
            return bool(found == 1)

        key = _PUBLIC_DER % public
        return bool(self._with_key("d2i_PUBKEY", "EVP_DigestVerifyInit", key, work))

    def _with_key(self, reader: str, begin: str, der: bytes, work: Callable[[int], Any]) -> Any:
        """Everything is freed, whatever the work does."""
        lib = self._lib
        lib.ERR_clear_error()
        key = getattr(lib, reader)(None, byref(c_char_p(der)), len(der))
        if not key:
            raise OSError("OpenSSL does not read the key")
        owned: list[tuple[Any, int]] = [(lib.EVP_PKEY_free, key)]
        try:
            if self._of_1 and lib.EVP_PKEY_set_alias_type(key, _NID_SM2) != 1:
                raise OSError("OpenSSL does not take the key for one of SM2")
            of_key = lib.EVP_PKEY_CTX_new(key, None)
            owned.append((lib.EVP_PKEY_CTX_free, of_key))
            context = lib.EVP_MD_CTX_new()
            owned.append((lib.EVP_MD_CTX_free, context))
            if not of_key or not context or not self._set_id(of_key):
                raise OSError("OpenSSL does not take the signer's id")
            lib.EVP_MD_CTX_set_pkey_ctx(context, of_key)
            if getattr(lib, begin)(context, None, lib.EVP_sm3(), None, key) != 1:
                raise OSError("OpenSSL does not begin")
            return work(context)
        finally:
            for free, what in reversed(owned):
                free(what)

    def _set_id(self, of_key: int) -> bool:
        ident = sm2.DEFAULT_ID
        if self._of_1:
            done = self._lib.EVP_PKEY_CTX_ctrl(of_key, -1, -1, _SET1_ID, len(ident), ident)
        else:
            done = self._lib.EVP_PKEY_CTX_set1_id(of_key, ident, len(ident))
        return bool(done == 1)


@cache
def load() -> OpenSsl | None:
    """The machine's OpenSSL, if it signs and verifies as the standard says."""
    for name in _NAMES if sys.platform == "linux" else ():
        try:
            found = OpenSsl(ctypes.CDLL(name))
            if _works(found):
                return found
        except (OSError, AttributeError):
            continue
    return None


_KNOWN_PRIVATE = "3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8"
_KNOWN_SIGNATURE = (
    "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
    "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
)


def _works(library: OpenSsl) -> bool:
    """The signature in GB/T 32918.5, annex A.2, and one of our own, read by `sm2`."""
    private, text = bytes.fromhex(_KNOWN_PRIVATE), b"message digest"
    public, known = sm2.public_of(private), bytes.fromhex(_KNOWN_SIGNATURE)
    return (
        library.verify(public, text, known)
        and not library.verify(public, text + b".", known)
        and sm2.verify(public, text, library.sign(private, public, text))
    )


def _der(signature: bytes) -> bytes:
    """SEQUENCE of two INTEGERs, each without needless zeros."""
    numbers = b""
    for half in (signature[:32], signature[32:]):
        number = half.lstrip(b"\0")
        number = (b"\0" if number[:1] >= b"\x80" else b"") + number
        numbers += b"\x02" + bytes([len(number)]) + number
    return b"\x30" + bytes([len(numbers)]) + numbers


def _raw(der: bytes) -> bytes:
    """The opposite, for what the library has made."""
    r_end = 4 + der[3]
    r, s = der[4:r_end], der[r_end + 2 :]
    return b"".join(int.from_bytes(part, "big").to_bytes(32, "big") for part in (r, s))
