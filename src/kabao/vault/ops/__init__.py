"""The vault's verbs: `Vault` seals and proves, `Rotation` changes keys, `FileKeys` holds them."""

from kabao.sm2 import sm3
from kabao.vault.keyfile import FileKeys
from kabao.vault.ops.rotation import Rotation
from kabao.vault.ops.vault import Vault
from kabao.vault.signatures import verify as verify_signature

__all__ = ["FileKeys", "Rotation", "Vault", "sm3", "verify_signature"]
