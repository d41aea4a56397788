"""SM2 signatures in plain Python (GB/T 32918.2-2016, curve of 32918.5).

Not in constant time: signing here leaks through its duration, so keys that
matter sign in an HSM or in OpenSSL (`openssl`). Verifying holds no secret.
A few milliseconds each.

Keys and points are bytes at the border: a private key of 32, a public key of
64 (x, then y), a signature of 64 (r, then s), all big-endian.
"""

from __future__ import annotations

import secrets

from cryptography.hazmat.primitives import hashes

Point = tuple[int, int]
_Jacobian = tuple[int, int, int]

P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
A = P - 3
B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
G: Point = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)

DEFAULT_ID = b"1234567812345678"
"""The signer's id where nobody has agreed on another (GM/T 0009)."""

PRIVATE_BYTES, PUBLIC_BYTES, SIGNATURE_BYTES = 32, 64, 64


def sm3(message: bytes) -> bytes:
    """The SM3 digest (GB/T 32905-2016), 32 bytes."""
    digest = hashes.Hash(hashes.SM3())
    digest.update(message)
    return digest.finalize()


def new_private() -> bytes:
    """A fresh private key, uniform in 1 … n-2."""
    return (1 + secrets.randbelow(N - 2)).to_bytes(PRIVATE_BYTES, "big")


def public_of(private: bytes) -> bytes:
    """The public key of a private one. Raises ValueError for one outside 1 … n-2."""
    x, y = _affine(_times(_secret(private), G))
    return x.to_bytes(32, "big") + y.to_bytes(32, "big")


def point_of(public: bytes) -> Point | None:
    """The point, if these 64 bytes are one of the curve's."""
    if len(public) != PUBLIC_BYTES:
        return None
    x, y = int.from_bytes(public[:32], "big"), int.from_bytes(public[32:], "big")
    on_curve = x < P and y < P and (y * y - (x * x + A) * x - B) % P == 0
    return (x, y) if on_curve else None


def parts_of(signature: bytes) -> tuple[int, int] | None:
    """The parts r and s, if these 64 bytes could be a signature (32918.2, 7.1, B1 to B5)."""
    if len(signature) != SIGNATURE_BYTES:
        return None
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    good = 0 < r < N and 0 < s < N and (r + s) % N != 0
    return (r, s) if good else None


def message_digest(public: bytes, message: bytes, ident: bytes = DEFAULT_ID) -> bytes:
    """SM3(Z | message), where Z binds the signer's id, the curve and the key (5.5)."""
    curve = b"".join(number.to_bytes(32, "big") for number in (A, B, *G))
    z = sm3((8 * len(ident)).to_bytes(2, "big") + ident + curve + public)
    return sm3(z + message)


def sign(private: bytes, public: bytes, message: bytes, *, nonce: int | None = None) -> bytes:
    """A signature under the default id (6.1); `public` is the key's own, `public_of(private)`.

    `nonce` is for test vectors only: whoever learns it, or sees it twice,
    has the key.
    """
    d = _secret(private)
    e = int.from_bytes(message_digest(public, message), "big")
    while True:
        k = 1 + secrets.randbelow(N - 1) if nonce is None else nonce
        r = (e + _affine(_times(k, G))[0]) % N
        s = pow(1 + d, -1, N) * (k - r * d) % N
        if r and s and (r + k) % N:
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        assert nonce is None, "a nonce that gives no signature"


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the signature is the key's. False for anything malformed, too."""
    point, parts = point_of(public), parts_of(signature)
    if point is None or parts is None:
        return False
    r, s = parts
    found = _add(_times(s, G), _times((r + s) % N, point))
    if not found[2]:
        return False
    e = int.from_bytes(message_digest(public, message), "big")
    return (e + _affine(found)[0]) % N == r


def is_private(private: bytes) -> bool:
    """Whether these bytes are a private key: 1 … n-2."""
    return len(private) == PRIVATE_BYTES and 0 < int.from_bytes(private, "big") < N - 1


def _secret(private: bytes) -> int:
    if not is_private(private):
        raise ValueError("not a private key of SM2")
    return int.from_bytes(private, "big")


# Jacobian coordinates: (X, Y, Z) is (X / Z^2, Y / Z^3); Z = 0 is the point at infinity.


def _double(p: _Jacobian) -> _Jacobian:
    x, y, z = p
    if not z or not y:
        return (1, 1, 0)
    square = y * y % P
    s = 4 * x * square % P
    zz = z * z % P
    m = 3 * (x - zz) * (x + zz) % P  # a = -3
    x3 = (m * m - 2 * s) % P
    return x3, (m * (s - x3) - 8 * square * square) % P, 2 * y * z % P


def _add(p: _Jacobian, q: _Jacobian) -> _Jacobian:
    if not p[2]:
        return q
    if not q[2]:
        return p
    zz1, zz2 = p[2] * p[2] % P, q[2] * q[2] % P
    u1, u2 = p[0] * zz2 % P, q[0] * zz1 % P
    s1, s2 = p[1] * zz2 * q[2] % P, q[1] * zz1 * p[2] % P
    h, r = u2 - u1, s2 - s1
    if not h:
        return (1, 1, 0) if r else _double(p)
    hh = h * h % P
    hhh, v = h * hh % P, u1 * hh % P
    x = (r * r - hhh - 2 * v) % P
    return x, (r * (v - x) - s1 * hhh) % P, p[2] * q[2] * h % P


def _times(k: int, point: Point) -> _Jacobian:
    base, result = (*point, 1), (1, 1, 0)
    for bit in bin(k)[2:]:
        result = _double(result)
        if bit == "1":
            result = _add(result, base)
    return result


def _affine(p: _Jacobian) -> Point:
    inverse = pow(p[2], -1, P)
    square = inverse * inverse % P
    return p[0] * square % P, p[1] * square * inverse % P
