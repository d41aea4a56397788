"""The published vectors, through the code that the vault runs."""

import hmac

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

from kabao.vault.ciphers import Aead, CardMaster, KeyedHash, terminal_block
from kabao.vault.model import Algorithm, Suite, TerminalCipher


def sm3(message: bytes) -> bytes:
    digest = hashes.Hash(hashes.SM3())
    digest.update(message)
    return digest.finalize()


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"abc", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
        (b"abcd" * 16, "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"),
    ],
    ids=["V-1", "V-2"],
)
def test_sm3(message: bytes, expected: str) -> None:
    assert sm3(message).hex() == expected


def test_sm4_v3() -> None:
    block = key = bytes.fromhex("0123456789abcdeffedcba9876543210")
    encrypt = Cipher(algorithms.SM4(key), modes.ECB()).encryptor()
    block = encrypt.update(block)
    assert block.hex() == "681edf34d206965e86b3e94f536e4246"
    for _ in range(999_999):
        block = encrypt.update(block)
    assert block.hex() == "595298c7c6fd271f0402f804c33d3f66"


def test_sm4_gcm_rfc_8998() -> None:
    aead = Aead(Suite.SM4_GCM, bytes.fromhex("0123456789abcdeffedcba9876543210"))
    nonce = bytes.fromhex("00001234567800000000abcd")
    aad = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    plain = b"".join(bytes([b]) * 8 for b in (0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF, 0xEE, 0xAA))
    sealed = aead.encrypt(nonce, plain, aad)
    assert sealed.hex() == (
        "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735"
        "d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d"
        "83de3541e4c2b58177e065a9bf7b62ec"
    )
    assert aead.decrypt(nonce, sealed, aad) == plain


def test_aes_256_gcm_nist() -> None:
    # Test case 16 of the GCM submission (McGrew, Viega).
    key = "feffe9928665731c6d6a8f9467308308" * 2
    aead = Aead(Suite.AES_256_GCM, bytes.fromhex(key))
    nonce = bytes.fromhex("cafebabefacedbaddecaf888")
    aad = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    plain = bytes.fromhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )
    sealed = aead.encrypt(nonce, plain, aad)
    assert sealed.hex() == (
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"
    )
    assert aead.decrypt(nonce, sealed, aad) == plain


def test_hmac_sha256_rfc_4231() -> None:
    keyed = KeyedHash(Algorithm.HMAC_SHA256, b"\x0b" * 20)
    expected = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
    assert keyed.of(b"Hi There").hex() == expected
    assert keyed.of(b"Hi There").hex() == expected, "one message leaves no trace in the next"


def test_hmac_sm3_is_rfc_2104_over_sm3() -> None:
    key, message = bytes(range(32)), b"a message of some length" * 9
    padded = key + bytes(32)
    inner = sm3(bytes(b ^ 0x36 for b in padded) + message)
    expected = sm3(bytes(b ^ 0x5C for b in padded) + inner)
    mine = KeyedHash(Algorithm.HMAC_SM3, key).of(message)
    assert hmac.compare_digest(mine, expected)


def test_a_card_has_its_own_sm4_key() -> None:
    # V-3 as a card: its key is the encryption of the card's bytes under the master.
    master = card = bytes.fromhex("0123456789abcdeffedcba9876543210")
    cmac = CMAC(algorithms.SM4(bytes.fromhex("681edf34d206965e86b3e94f536e4246")))
    cmac.update(b"message")
    assert CardMaster(master).mac(card, b"message") == cmac.finalize()


def test_check_values_of_terminal_keys() -> None:
    pik = bytes.fromhex("807A23AD32B36D457AE91FDF927570EA")  # V-5
    assert terminal_block(TerminalCipher.TDES, pik)[:4].hex() == "8d0a74b8"
    sm4 = Cipher(algorithms.SM4(pik), modes.ECB()).encryptor()
    assert terminal_block(TerminalCipher.SM4, pik) == sm4.update(bytes(16))
