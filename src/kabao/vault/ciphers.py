"""The few calls into `cryptography` that the vault and its key file share."""

from __future__ import annotations

from typing import assert_never

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.cmac import CMAC

from kabao.vault.model import SEALED_BROKEN, TAG_BYTES, Algorithm, Suite, TerminalCipher


class Aead:
    """One key of a suite, ready to use. Its repr shows nothing."""

    __slots__ = ("_aes", "_sm4")

    def __init__(self, suite: Suite, key: bytes) -> None:
        self._sm4: algorithms.SM4 | None = None
        self._aes: AESGCM | None = None
        match suite:
            case Suite.SM4_GCM:
                self._sm4 = algorithms.SM4(key)
            case Suite.AES_256_GCM:
                assert len(key) == 32, "AES-256 takes 32 bytes"
                self._aes = AESGCM(key)
            case _:
                assert_never(suite)

    def encrypt(self, nonce: bytes, plain: bytes, aad: bytes) -> bytes:
        """Ciphertext, then the tag of 16 bytes."""
        if self._aes is not None:
            return self._aes.encrypt(nonce, plain, aad)
        assert self._sm4 is not None
        context = Cipher(self._sm4, modes.GCM(nonce)).encryptor()
        context.authenticate_additional_data(aad)
        return context.update(plain) + context.finalize() + context.tag

    def decrypt(self, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
        """The opposite. Raises `sealed_value_broken`."""
        try:
            if self._aes is not None:
                return self._aes.decrypt(nonce, sealed, aad)
            assert self._sm4 is not None
            mode = modes.GCM(nonce, sealed[-TAG_BYTES:])
            context = Cipher(self._sm4, mode).decryptor()
            context.authenticate_additional_data(aad)
            return context.update(sealed[:-TAG_BYTES]) + context.finalize()
        except (InvalidTag, ValueError):
            raise SEALED_BROKEN.error() from None


class KeyedHash:
    """HMAC with the key's blocks hashed once and copied for every message."""

    __slots__ = ("_keyed",)

    def __init__(self, algorithm: Algorithm, key: bytes) -> None:
        match algorithm:
            case Algorithm.HMAC_SM3:
                self._keyed = hmac.HMAC(key, hashes.SM3())
            case Algorithm.HMAC_SHA256:
                self._keyed = hmac.HMAC(key, hashes.SHA256())
            case Algorithm.SM4 | Algorithm.AES_256 | Algorithm.SM2:
                raise AssertionError("this key does not hash")
            case _:
                assert_never(algorithm)

    def of(self, message: bytes) -> bytes:
        """32 bytes."""
        keyed = self._keyed.copy()
        keyed.update(message)
        return keyed.finalize()


class CardMaster:
    """A master key from which every card's own SM4 key comes (P-22)."""

    __slots__ = ("_master",)

    def __init__(self, key: bytes) -> None:
        self._master = algorithms.SM4(key)

    def mac(self, card: bytes, message: bytes) -> bytes:
        """SM4-CMAC of the message under the card's key, 16 bytes.

        One block of SM4 over distinct cards is a pseudo-random permutation: the keys of cards
        tell nothing about each other or about the master.
        """
        assert len(card) == 16, "a card is 16 bytes"
        # One block and never a second: what ECB is weak at does not arise.
        card_key = Cipher(self._master, modes.ECB()).encryptor().update(card)  # noqa: S305
        cmac = CMAC(algorithms.SM4(card_key))
        cmac.update(message)
        return cmac.finalize()


def terminal_block(cipher: TerminalCipher, key: bytes) -> bytes:
    """A block of zeros encrypted under a terminal's key of 16 bytes."""
    match cipher:
        case TerminalCipher.TDES:
            algorithm: TripleDES | algorithms.SM4 = TripleDES(key + key[:8])
        case TerminalCipher.SM4:
            algorithm = algorithms.SM4(key)
        case _:
            assert_never(cipher)
    context = Cipher(algorithm, modes.ECB()).encryptor()  # noqa: S305 -- one block, of zeros
    return context.update(bytes(algorithm.block_size // 8)) + context.finalize()
