"""What tills encrypt with: 3DES and SM4 in single blocks, MACs and PIN blocks over them.

ECB and single DES are what the terminals' standard prescribes (MF-04 to MF-06): a block
cipher on single blocks, each used once, under keys that live for a session.
"""

from __future__ import annotations

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

from kabao.edges.iso8583.spec import MacMethod
from kabao.vault.model import TerminalCipher

CHECK_BYTES = 4
MAC_BYTES = 8
PIN_DIGITS = range(4, 13)


class Block:
    """One key of a block cipher. Its repr shows nothing.

    The contexts are kept: in ECB every block stands alone, and making one costs ten
    times what a block costs.
    """

    __slots__ = ("_algorithm", "_decryptor", "_encryptor", "size")

    def __init__(self, algorithm: TerminalCipher, key: bytes) -> None:
        """Raises ValueError for a key of the wrong length."""
        match algorithm:
            case TerminalCipher.TDES:
                if len(key) not in {8, 16, 24}:
                    raise ValueError("a key of 3DES has 8, 16 or 24 bytes")
                self._algorithm: TripleDES | algorithms.SM4 = TripleDES((key * 3)[:24])
                self.size = 8
            case TerminalCipher.SM4:
                self._algorithm = algorithms.SM4(key)
                self.size = 16
        ecb = Cipher(self._algorithm, modes.ECB())  # noqa: S305 - see the module
        self._encryptor: CipherContext = ecb.encryptor()
        self._decryptor: CipherContext = ecb.decryptor()

    def encrypt(self, blocks: bytes) -> bytes:
        """Each whole block by itself."""
        assert len(blocks) % self.size == 0, "whole blocks only"
        return self._encryptor.update(blocks)

    def decrypt(self, blocks: bytes) -> bytes:
        """The opposite."""
        assert len(blocks) % self.size == 0, "whole blocks only"
        return self._decryptor.update(blocks)

    def check_value(self) -> bytes:
        """The first four bytes of encrypted zeros (MF-04)."""
        return self.encrypt(bytes(self.size))[:CHECK_BYTES]

    def cbc_mac(self, data: bytes) -> bytes:
        """The last block of CBC over data filled up with zeros."""
        filled = data + bytes(-len(data) % self.size)
        chain = Cipher(self._algorithm, modes.CBC(bytes(self.size))).encryptor()
        return chain.update(filled)[-self.size :]


def mac(method: MacMethod, key: Block, message: bytes) -> bytes:
    """The eight bytes of field 64 over everything from the message type on."""
    match method:
        case MacMethod.XOR:
            return _xor_mac(key, message)
        case MacMethod.CBC:
            return key.cbc_mac(message)[:MAC_BYTES]


def _xor_mac(key: Block, message: bytes) -> bytes:
    """MF-05: blocks XORed, written as hex, first half encrypted, XORed with the second,
    encrypted; the first eight hex digits.
    """
    size = key.size
    text = _folded(message, size).hex().upper().encode()
    half = int.from_bytes(key.encrypt(text[:size]), "big") ^ int.from_bytes(text[size:], "big")
    return key.encrypt(half.to_bytes(size, "big")).hex().upper()[:MAC_BYTES].encode()


def _folded(message: bytes, size: int) -> bytes:
    """All blocks of a message, filled up with zeros, XORed: folded in half again and again."""
    blocks = -(-len(message) // size)
    width = 1 << max(blocks - 1, 0).bit_length()
    folded = int.from_bytes(message.ljust(width * size, b"\0"), "big")
    while width > 1:
        width //= 2
        folded = (folded >> (8 * size * width)) ^ (folded & ((1 << (8 * size * width)) - 1))
    return folded.to_bytes(size, "big")


def pin_block(key: Block, pin: str, pan: str) -> bytes:
    """An encrypted PIN (MF-06; ISO 9564-1 format 0), alone in its block."""
    return key.encrypt(clear_pin_block(pin, pan).ljust(key.size, b"\0"))


def clear_pin_block(pin: str, pan: str) -> bytes:
    """PIN field XOR account field, eight bytes."""
    field = int(f"{len(pin):02X}{pin}".ljust(16, "F"), 16)
    return (field ^ int(pan[-13:-1], 16)).to_bytes(8, "big")


def read_pin(key: Block, block: bytes, pan: str) -> str | None:
    """The PIN of a block, or None if it holds none: another key, another card."""
    if len(block) != key.size:
        return None
    clear = key.decrypt(block)
    field = f"{int.from_bytes(clear[:8], 'big') ^ int(pan[-13:-1] or '0', 16):016X}"
    size = int(field[:2], 16)
    pin, rest = field[2 : 2 + size], field[2 + size :]
    if size not in PIN_DIGITS or not pin.isdecimal() or rest.strip("F") or any(clear[8:]):
        return None
    return pin
