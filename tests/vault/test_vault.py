"""Sealing, hashing and card values over a key file."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.pretty import pretty_repr

from kabao.base.errors import KabaoError
from kabao.vault.model import KEY_UNKNOWN, SEALED_BROKEN, KeyKind, Suite, unpack
from kabao.vault.ops import Vault

from . import make

CARD = "0190a5b4c3d27e8f90a1b2c3d4e5f607"
OTHER = "0190a5b4c3d27e8f90a1b2c3d4e5f608"
SECRET = "6212345678901234567"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vault")


@pytest.fixture(scope="module", params=list(Suite))
def vault(request: pytest.FixtureRequest, folder: Path) -> Vault:
    return make.vault(folder, suite=request.param)


@given(
    table=st.from_regex(r"[a-z_]+\.[a-z_]+", fullmatch=True),
    ident=st.text(max_size=40),
    plain=st.binary(max_size=600),
)
def test_what_is_sealed_opens_in_its_place(
    vault: Vault, table: str, ident: str, plain: bytes
) -> None:
    sealed = vault.encrypt(table, "number_sealed", ident, plain)
    assert vault.decrypt(table, "number_sealed", ident, sealed) == plain
    assert unpack(sealed).suite is vault.suite


@pytest.mark.parametrize(("suite", "more"), [(Suite.SM4_GCM, 65), (Suite.AES_256_GCM, 81)])
def test_the_layout_is_compact(folder: Path, suite: Suite, more: int) -> None:
    vault = make.vault(folder, suite=suite)
    assert len(vault.encrypt("t.t", "c", CARD, SECRET.encode())) == len(SECRET) + more


def test_either_suite_is_read_whatever_the_setting(folder: Path) -> None:
    sm4 = make.vault(folder, suite=Suite.SM4_GCM)
    aes = make.vault(folder, suite=Suite.AES_256_GCM)
    for writer, reader in ((sm4, aes), (aes, sm4)):
        sealed = writer.encrypt("t.t", "c", CARD, b"plain")
        assert reader.decrypt("t.t", "c", CARD, sealed) == b"plain"


def test_the_setting_changes_no_hash(folder: Path) -> None:
    """Indexes and PINs live on when an operator changes the suite of an old installation."""
    sm4 = make.vault(folder, suite=Suite.SM4_GCM)
    aes = make.vault(folder, suite=Suite.AES_256_GCM)
    assert sm4.blind_index("phone", "13800138000") == aes.blind_index("phone", "13800138000")
    assert sm4.pin_mac("123456", b"saltsalt") == aes.pin_mac("123456", b"saltsalt")


@pytest.mark.parametrize(
    "wrong",
    [("x.card", "number", CARD), ("cards.card", "track", CARD), ("cards.card", "number", OTHER)],
    ids=["table", "column", "id"],
)
def test_a_sealed_value_opens_nowhere_else(vault: Vault, wrong: tuple[str, str, str]) -> None:
    sealed = vault.encrypt("cards.card", "number", CARD, b"plain")
    with pytest.raises(KabaoError) as refused:
        vault.decrypt(*wrong, sealed)
    assert refused.value.code is SEALED_BROKEN


@given(plain=st.binary(max_size=64), data=st.data())
def test_every_flipped_bit_is_refused(vault: Vault, plain: bytes, data: st.DataObject) -> None:
    sealed = bytearray(vault.encrypt("t.t", "c", CARD, plain))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(KabaoError) as refused:
        vault.decrypt("t.t", "c", CARD, bytes(sealed))
    assert refused.value.code in (SEALED_BROKEN, KEY_UNKNOWN)


@given(data=st.data())
def test_every_cut_is_refused(vault: Vault, data: st.DataObject) -> None:
    sealed = vault.encrypt("t.t", "c", CARD, b"plain")
    with pytest.raises(KabaoError) as refused:
        vault.decrypt("t.t", "c", CARD, sealed[: data.draw(st.integers(0, len(sealed) - 1))])
    assert refused.value.code is SEALED_BROKEN


def test_parts_of_two_values_do_not_mix(vault: Vault) -> None:
    one, other = (vault.encrypt("t.t", "c", CARD, b"plain") for _ in range(2))
    assert one != other, "every value has its own data key"
    cut = len(one) - len(b"plain") - 16
    with pytest.raises(KabaoError):
        vault.decrypt("t.t", "c", CARD, one[:cut] + other[cut:])


def test_many_at_once_are_each_sealed_for_their_row(vault: Vault) -> None:
    sealed = vault.encrypt_many("t.t", "c", [(CARD, b"one"), (OTHER, b"two")])
    assert vault.decrypt("t.t", "c", CARD, sealed[0]) == b"one"
    assert vault.decrypt("t.t", "c", OTHER, sealed[1]) == b"two"
    assert vault.encrypt_many("t.t", "c", []) == []


def test_blind_indexes_of_domains_differ(vault: Vault) -> None:
    index = vault.blind_index("phone", "13800138000")
    assert len(index) == 32
    assert index == vault.blind_index("phone", " 138-0013-8000 ")
    assert index != vault.blind_index("id_number", "13800138000")
    assert index != vault.blind_index("phone", "13800138001")
    assert index != vault.mac("phone", b"13800138000"), "and keys differ besides"
    values = ["13800138000", "138 0013 8001"]
    assert vault.blind_indexes("phone", values) == [vault.blind_index("phone", v) for v in values]


def test_borders_of_mac_parts_count(vault: Vault) -> None:
    macs = {
        vault.mac("p", b"ab", b"c"),
        vault.mac("p", b"a", b"bc"),
        vault.mac("p", b"abc"),
        vault.mac("p", b"abc", b""),
        vault.mac("pa", b"bc"),
        vault.mac("p"),
    }
    assert len(macs) == 6
    assert {len(mac) for mac in macs} == {32}


def test_pin_macs_differ_by_salt(vault: Vault) -> None:
    mac = vault.pin_mac("123456", b"salt-of-one")
    assert len(mac) == 16
    assert mac != vault.pin_mac("123456", b"salt-of-two")
    assert mac != vault.pin_mac("123457", b"salt-of-one")
    assert vault.pin_matches("123456", b"salt-of-one", mac)
    for wrong in ("123457", "", "１２３４５６", "\ud800"):
        assert not vault.pin_matches(wrong, b"salt-of-one", mac)
    assert not vault.pin_matches("123456", b"salt-of-one", mac[:15])
    with pytest.raises(AssertionError):
        vault.pin_mac("123456", b"7 bytes")


def test_card_values(vault: Vault) -> None:
    version = vault.card_key_version
    value = vault.card_value(CARD, version, SECRET, "2912", digits=6)
    assert len(value) == 6
    assert value.isdigit()
    assert vault.card_value_matches(value, CARD, version, SECRET, "2912", digits=6)
    assert not vault.card_value_matches(value, OTHER, version, SECRET, "2912", digits=6)
    assert not vault.card_value_matches(value, CARD, version, SECRET + "2912", digits=6)
    assert not vault.card_value_matches(value, CARD, version + 1, SECRET, "2912", digits=6)
    for wrong in ("", value[:5], value + "0", value[:5] + "x", "\ud800"):
        assert not vault.card_value_matches(wrong, CARD, version, SECRET, "2912", digits=6)


def test_decimal_digits_are_even(vault: Vault) -> None:
    """Chi-square over 20,000 digits; 9 degrees of freedom stay under 40 but once in 10^5."""
    counts = [0] * 10
    for i in range(5_000):
        for digit in vault.card_value(CARD, 1, str(i), digits=4):
            counts[int(digit)] += 1
    assert sum((count - 2_000) ** 2 / 2_000 for count in counts) < 40


def test_old_card_values_are_good_until_their_version_is_retired(tmp_path: Path) -> None:
    vault, other_process = make.vault(tmp_path), make.vault(tmp_path)
    old = vault.card_value(CARD, 1, SECRET, digits=3)
    assert vault.store.add(KeyKind.CARD_VALUE) == 2
    vault.reload()
    assert vault.card_key_version == 2
    new = vault.card_value(CARD, 2, SECRET, digits=12)
    assert new != vault.card_value(CARD, 1, SECRET, digits=12)
    assert other_process.card_value_matches(new, CARD, 2, SECRET, digits=12)
    assert vault.card_value_matches(old, CARD, 1, SECRET, digits=3)
    vault.store.retire(KeyKind.CARD_VALUE, 1)
    assert not vault.card_value_matches(old, CARD, 1, SECRET, digits=3)
    with pytest.raises(KabaoError) as refused:
        vault.card_value(CARD, 1, SECRET, digits=3)
    assert refused.value.code is KEY_UNKNOWN


def test_a_process_opens_what_another_sealed_under_a_new_kek(tmp_path: Path) -> None:
    old, new = make.vault(tmp_path), make.vault(tmp_path)
    before = old.encrypt("t.t", "c", CARD, b"before")
    new.store.add(KeyKind.KEK)
    new.reload()
    sealed = new.encrypt("t.t", "c", CARD, b"after")
    assert unpack(sealed).kek == 2
    assert old.kek_version == 1
    assert old.decrypt("t.t", "c", CARD, sealed) == b"after"
    assert old.kek_version == 2, "it met an unknown version and looked"
    assert new.decrypt("t.t", "c", CARD, before) == b"before"


def test_a_process_takes_up_a_new_kek_within_half_a_minute(tmp_path: Path) -> None:
    clock = make.clock()
    running, rotating = make.vault(tmp_path, clock), make.vault(tmp_path)
    rotating.store.add(KeyKind.KEK)
    clock.advance(timedelta(seconds=29))
    assert unpack(running.encrypt("t.t", "c", CARD, b"")).kek == 1
    clock.advance(timedelta(seconds=1))
    assert unpack(running.encrypt("t.t", "c", CARD, b"")).kek == 2


def test_sealing_stops_when_the_keys_cannot_be_confirmed(tmp_path: Path) -> None:
    """Else it could go on under a KEK that has been retired meanwhile. Opening goes on."""
    clock = make.clock()
    vault = make.vault(tmp_path, clock)
    sealed = vault.encrypt("t.t", "c", CARD, b"plain")
    (tmp_path / "keys.json").rename(tmp_path / "gone")
    clock.advance(timedelta(seconds=299))
    vault.encrypt("t.t", "c", CARD, b"plain")
    clock.advance(timedelta(seconds=1))
    with pytest.raises(KabaoError, match="it does not exist"):
        vault.encrypt("t.t", "c", CARD, b"plain")
    assert vault.decrypt("t.t", "c", CARD, sealed) == b"plain"
    (tmp_path / "gone").rename(tmp_path / "keys.json")
    vault.encrypt("t.t", "c", CARD, b"plain")


def test_rewrapping_leaves_the_ciphertext(vault: Vault, tmp_path: Path) -> None:
    vault = make.vault(tmp_path, suite=vault.suite)
    sealed = vault.encrypt("t.t", "c", CARD, b"plain")
    vault.store.add(KeyKind.KEK)
    vault.reload()
    moved = vault.rewrap(sealed)
    assert unpack(moved).kek == 2
    assert unpack(moved).body == unpack(sealed).body
    assert vault.decrypt("t.t", "c", CARD, moved) == b"plain"
    vault.store.retire(KeyKind.KEK, 1)
    assert vault.decrypt("t.t", "c", CARD, moved) == b"plain"
    with pytest.raises(KabaoError) as refused:
        vault.decrypt("t.t", "c", CARD, sealed)
    assert refused.value.code is KEY_UNKNOWN


def test_nothing_secret_is_in_a_repr_or_an_error(folder: Path) -> None:
    """ATK-14: keys, PINs and plain values, in what a log or a crash report would hold."""
    vault = make.vault(folder)
    pin, salt = "271828", b"salt-of-a-card"
    sealed = vault.encrypt("t.t", "c", CARD, SECRET.encode())
    text = (folder / "keys.json").read_text()
    hexes = [part for part in text.split('"') if len(part) in (32, 64) and part.isalnum()]
    assert len(hexes) == 7, "two KEKs, three hashes, one master, one signer"
    shown = [repr(vault), repr(vault.store), repr(vault.keys), str(vault.__dict__)]
    shown += [repr(value) for value in vars(vault.store).values()]
    ring = vars(vault.store)["_ring"]
    shown += [repr(getattr(ring, name)) for name in ring.__slots__]
    entries, _ = vault.store._load()
    shown += [repr(entries), pretty_repr(entries, max_depth=9)]

    def fails(call: Any) -> None:
        try:
            call()
        except (KabaoError, AssertionError, TypeError) as error:
            while error:
                shown.append(repr(error) + str(error) + str(error.args))
                error = error.__cause__ or error.__context__
        else:
            raise AssertionError("it should have failed")

    fails(lambda: vault.decrypt("t.t", "d", CARD, sealed))
    fails(lambda: vault.decrypt("t.t", "c", CARD, sealed[:-1]))
    fails(lambda: vault.decrypt("t.t", "c", CARD, b""))
    fails(lambda: vault.pin_mac(pin, b""))
    fails(lambda: vault.card_value(SECRET, 1, digits=3))
    fails(lambda: vault.card_value(CARD, 9, SECRET, digits=3))
    fails(lambda: vault.encrypt("t:t", "c", SECRET, SECRET.encode()))
    assert not vault.pin_matches("\ud800", salt, vault.pin_mac(pin, salt))
    everything = "\n".join(shown)
    for secret in [*hexes, SECRET, pin, *(repr(bytes.fromhex(h))[2:-1] for h in hexes)]:
        assert secret not in everything
