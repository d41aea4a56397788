"""The key file: who may read it, what is refused, what several processes do to it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kabao import sm2
from kabao.base.errors import KabaoError
from kabao.vault.model import (
    KEY_IN_USE,
    KEY_UNKNOWN,
    KEYS_UNUSABLE,
    VERSIONED,
    Algorithm,
    KeyKind,
    Suite,
)
from kabao.vault.ops import FileKeys

from . import make


def refusal(path: Path) -> str:
    with pytest.raises(KabaoError) as refused:
        FileKeys(path, make.clock())
    assert refused.value.code is KEYS_UNUSABLE
    assert "\n" not in refused.value.detail
    assert str(path) in refused.value.detail
    return refused.value.detail


def test_fresh_keys_are_for_the_owner_alone(tmp_path: Path) -> None:
    store = make.keys(tmp_path / "new" / "folder")
    path = tmp_path / "new" / "folder" / "keys.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert {(i.kind, i.version, i.algorithm) for i in store.infos()} == {
        (KeyKind.KEK, 1, Algorithm.SM4),
        (KeyKind.KEK, 1, Algorithm.AES_256),
        (KeyKind.BLIND_INDEX, 1, Algorithm.HMAC_SM3),
        (KeyKind.MAC, 1, Algorithm.HMAC_SM3),
        (KeyKind.PIN, 1, Algorithm.HMAC_SM3),
        (KeyKind.CARD_VALUE, 1, Algorithm.SM4),
        (KeyKind.SIGNATURE, 1, Algorithm.SM2),
    }
    secrets = [key["secret"] for key in json.loads(path.read_text())["keys"]]
    assert len(set(secrets)) == 7


def test_keyed_hashes_are_born_with_the_suite(tmp_path: Path) -> None:
    store = make.keys(tmp_path, suite=Suite.AES_256_GCM)
    hashes = {i.algorithm for i in store.infos() if i.kind not in VERSIONED}
    assert hashes == {Algorithm.HMAC_SHA256}


def test_a_file_of_an_earlier_version_is_completed(tmp_path: Path) -> None:
    make.keys(tmp_path)
    path = tmp_path / "keys.json"
    file = json.loads(path.read_text())
    older = [key for key in file["keys"] if key["kind"] != "signature"]
    path.write_text(json.dumps(file | {"keys": older}))
    assert "it has no signature key" in refusal(path), "only whoever may make keys adds one"
    completed = make.keys(tmp_path)
    assert {i.kind for i in completed.infos()} == set(KeyKind)
    assert json.loads(path.read_text())["keys"][:-1] == older


def test_a_signing_key_has_its_range(tmp_path: Path) -> None:
    make.keys(tmp_path)
    path = tmp_path / "keys.json"
    file = json.loads(path.read_text())
    (key,) = [key for key in file["keys"] if key["kind"] == "signature"]
    for secret in ("00" * 32, f"{sm2.N - 1:064x}"):
        key["secret"] = secret
        path.write_text(json.dumps(file))
        assert "out of range" in refusal(path)
    key["secret"] = f"{sm2.N - 2:064x}"
    path.write_text(json.dumps(file))
    assert FileKeys(path, make.clock()).sign(1, b"text")


def test_a_missing_file_is_not_made_unless_told(tmp_path: Path) -> None:
    assert "it does not exist" in refusal(tmp_path / "keys.json")
    assert not list(tmp_path.iterdir())


def test_an_existing_file_is_never_made_anew(tmp_path: Path) -> None:
    make.keys(tmp_path)
    before = (tmp_path / "keys.json").read_bytes()
    make.keys(tmp_path)
    assert (tmp_path / "keys.json").read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o622, 0o610, 0o777])
def test_a_file_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    make.keys(tmp_path)
    path = tmp_path / "keys.json"
    path.chmod(mode)
    assert f"others can read it (mode {mode:04o}). Run: chmod 600" in refusal(path)
    path.chmod(0o400)
    FileKeys(path, make.clock())


def secret(key: dict[str, Any], value: str | None) -> None:
    key["secret"] = value


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda f: f.update(format="other"), "its format is not kabao-keys-1"),
        (lambda f: f.pop("keys"), "missing required field `keys`"),
        (lambda f: f.update(more=1), "unknown field `more`"),
        (lambda f: f["keys"].clear(), "it has no kek key"),
        (lambda f: f["keys"].pop(), "it has no signature key"),
        (lambda f: f["keys"].append(f["keys"][0]), "stands in it twice"),
        (lambda f: secret(f["keys"][0], "00" * 15), "has 15 bytes and needs"),
        (lambda f: secret(f["keys"][0], "00" * 33), "has 33 bytes and needs"),
        (lambda f: secret(f["keys"][0], "no hex"), "is not hex"),
        (lambda f: secret(f["keys"][0], None), "must either be retired or have a secret"),
        (lambda f: f["keys"][0].update(version=0), "outside 1..65535"),
        (lambda f: f["keys"][0].update(version=65536), "outside 1..65535"),
        (lambda f: f["keys"][0].update(algorithm="hmac-sm3"), "does not suit its kind"),
        (lambda f: f["keys"][0].update(kind="other"), "`$.keys[0].kind`"),
        (lambda f: f["keys"][0].update(created_at="2026-11-22T00:00:00"), "time without offset"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path: Path, change: Any, why: str) -> None:
    make.keys(tmp_path)
    path = tmp_path / "keys.json"
    file = json.loads(path.read_text())
    secrets = [key["secret"] for key in file["keys"]]
    change(file)
    path.write_text(json.dumps(file))
    line = refusal(path)
    assert why in line
    assert not any(one in line for one in secrets)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b" " * ((1 << 20) + 1)])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(content)
    path.chmod(0o600)
    refusal(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "Is a directory" in refusal(tmp_path)


def test_versions_are_added_and_retired(tmp_path: Path) -> None:
    store, other = make.keys(tmp_path), make.keys(tmp_path)
    assert store.add(KeyKind.KEK) == 2
    assert other.add(KeyKind.KEK) == 3, "it reads before it writes"
    assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600
    with pytest.raises(KabaoError) as refused:
        store.retire(KeyKind.KEK, 3)
    assert refused.value.code is KEY_IN_USE
    store.retire(KeyKind.KEK, 2)
    retired = [i for i in other.infos() if i.retired_at_us is not None]
    assert {(i.kind, i.version) for i in retired} == {(KeyKind.KEK, 2)}
    assert store.add(KeyKind.KEK) == 4, "a number is never used twice"
    with pytest.raises(KabaoError) as refused:
        store.retire(KeyKind.KEK, 2)
    assert refused.value.code is KEY_UNKNOWN
    with pytest.raises(KabaoError):
        other.wrap(2, Suite.SM4_GCM, [bytes(16)])
    for kind in (KeyKind.BLIND_INDEX, KeyKind.MAC, KeyKind.PIN):
        with pytest.raises(AssertionError):
            store.add(kind)


def test_a_half_written_file_of_a_dead_process_is_in_nobodys_way(tmp_path: Path) -> None:
    store = make.keys(tmp_path)
    (tmp_path / "keys.json.new").write_text("half")
    assert store.add(KeyKind.KEK) == 2
    assert not (tmp_path / "keys.json.new").exists()


def test_check_values_tell_keys_apart_and_stay(tmp_path: Path) -> None:
    values = {i.check_value for i in make.keys(tmp_path / "a").infos()}
    assert values == {i.check_value for i in make.keys(tmp_path / "a").infos()}
    assert not values & {i.check_value for i in make.keys(tmp_path / "b").infos()}


STARTER = """
import sys, pathlib
from kabao.base.clock import RealClock
from kabao.vault.model import KeyKind
from kabao import sm2
from kabao.vault.ops import FileKeys
store = FileKeys(pathlib.Path(sys.argv[1]), RealClock(), create_if_missing=True)
mine = [i.check_value for i in store.infos() if i.version == 1]
added = [store.add(KeyKind.KEK) for _ in range(3)]
print(mine, added, sep=";")
"""


def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    """Six processes find no file at once: one makes it; none loses a version another adds."""
    path = tmp_path / "keys.json"
    command = [sys.executable, "-c", STARTER, str(path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    told = [process.communicate(timeout=60)[0].strip().split(";") for process in running]
    assert len({checks for checks, _ in told}) == 1
    added = sorted(version for _, versions in told for version in json.loads(versions))
    assert added == list(range(2, 20))
