"""The port behind which keys live: a file (`ops.FileKeys`) or an HSM.

Every operation computes with a key and none returns one, so a PKCS#11 module can implement it:

    infos      C_FindObjects; version and kind in CKA_LABEL, CKA_CHECK_VALUE
    wrap       C_Encrypt with CKM_AES_GCM, or the vendor's SM4-GCM; CKM_AES_KEY_WRAP_PAD will do
               as well: what a wrapped key looks like is the store's own affair, up to 255 bytes
    unwrap     C_Decrypt with the same
    macs       C_Sign with CKM_SHA256_HMAC, or the vendor's HMAC-SM3
    card_mac   C_DeriveKey by SM4 encryption of the card's 16 bytes, then SM4-CMAC
    sign       C_Sign with the vendor's SM2 over SM3, under the default id
    add        C_GenerateKey, C_GenerateKeyPair
    retire     C_DestroyObject, keeping the label

Data keys do leave the store, as they must: they encrypt in the process. Keys of the other kinds
do not. Calls are synchronous and come from one event loop: an HSM on the payment path should be
on the same machine or a fast network (the lists are there to save round trips), and must answer
within its own time limit with `unavailable`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kabao.vault.model import KeyInfo, KeyKind, Suite


class KeyStore(Protocol):
    """Holds the keys and computes with them.

    Every method may raise `unavailable`; those that name a version raise `vault_key_unknown`
    for one that is missing or retired.
    """

    def infos(self) -> tuple[KeyInfo, ...]:
        """Every key there is, retired ones too, as of now: also what other processes added."""
        ...

    def wrap(self, version: int, suite: Suite, data_keys: Sequence[bytes]) -> list[bytes]:
        """Encrypt and authenticate data keys under a KEK, bound to its version and suite.

        Data keys are uniformly random and never repeat.
        """
        ...

    def unwrap(self, version: int, suite: Suite, wrapped: Sequence[bytes]) -> list[bytes]:
        """The opposite. Raises `sealed_value_broken` when one was changed."""
        ...

    def macs(self, kind: KeyKind, messages: Sequence[bytes]) -> list[bytes]:
        """HMAC of each message under the one key of a kind (not KEK, not card value): 32 bytes."""
        ...

    def card_mac(self, version: int, card: bytes, message: bytes) -> bytes:
        """16 bytes: SM4-CMAC of the message under the card's own key.

        That key is the SM4 encryption of `card` (16 bytes) under the master key of the version.
        """
        ...

    def sign(self, version: int, message: bytes) -> bytes:
        """An SM2 signature under the default id (GB/T 32918.2): r and s, 64 bytes."""
        ...

    def public_key(self, version: int) -> bytes:
        """The public part of a signing key: x and y, 64 bytes."""
        ...

    def add(self, kind: KeyKind) -> int:
        """Make the next version of a kind in `VERSIONED` and say its number."""
        ...

    def retire(self, kind: KeyKind, version: int) -> None:
        """Destroy a version for good; its number stays taken."""
        ...
