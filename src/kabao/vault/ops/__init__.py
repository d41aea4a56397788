"""The vault's verbs: `Vault` seals and proves, `Rotation` changes keys, `FileKeys` holds them."""

from kabao.vault.keyfile import FileKeys
from kabao.vault.ops.rotation import Rotation
from kabao.vault.ops.vault import Vault

__all__ = ["FileKeys", "Rotation", "Vault"]
