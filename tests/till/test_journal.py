"""The journal: what a power cut and a stranger's hand can do to it."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from kabao.till.journal import MAX_BYTES, Journal
from kabao.till.model import JournalError

KEY = bytes(range(32))


def opened(path: Path, key: bytes = KEY) -> Journal[str]:
    return Journal(path, key, str)


def written(path: Path, *entries: str) -> bytes:
    journal = opened(path)
    for entry in entries:
        journal.append(entry)
    journal.close()
    return path.read_bytes()


def entries(path: Path) -> list[str]:
    journal = opened(path)
    journal.close()
    return journal.entries


def test_two_of_one_stem_are_two(tmp_path: Path) -> None:
    one, other = tmp_path / "till.journal", tmp_path / "till.queue"
    first, second = opened(one), opened(other)
    first.rewrite(["a"])
    second.rewrite(["b"])
    first.close()
    second.close()
    assert (entries(one), entries(other)) == (["a"], ["b"])


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    assert entries(path) == []
    written(path, "one", "two")
    assert written(path, "three").count(b"one") == 0
    assert entries(path) == ["one", "two", "three"]


def test_a_power_cut_at_any_byte_leaves_what_was_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    first = len(written(path, "one"))
    whole = written(path, "two")
    for cut in range(first, len(whole)):
        path.write_bytes(whole[:cut])
        assert entries(path) == ["one"]
        assert path.stat().st_size == first
        path.write_bytes(whole[:cut] + bytes(len(whole) - cut))
        assert entries(path)[:1] == ["one"]
    path.write_bytes(whole)
    assert entries(path) == ["one", "two"]


def test_every_flipped_bit_before_the_last_frame_is_found(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    size = len(written(path, "one", "two"))
    whole = written(path, "three")
    for at in range(size):
        for bit in range(8):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
            with pytest.raises(JournalError):
                opened(path)


def test_frames_cannot_be_left_out_moved_or_brought_in(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    whole = written(path, "aaa", "bbb", "ccc", "ddd")
    size = len(whole) // 4
    frames = [whole[n * size : (n + 1) * size] for n in range(4)]
    other = written(tmp_path / "other", "xxx", "yyy", "zzz")
    for forged in (
        [frames[0], frames[2], frames[3]],
        [frames[1], frames[0], frames[2]],
        [frames[0], other[size : 2 * size], frames[2]],
    ):
        path.write_bytes(b"".join(forged))
        with pytest.raises(JournalError):
            opened(path)


def test_another_key_opens_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    written(path, "one", "two")
    with pytest.raises(JournalError):
        opened(path, secrets.token_bytes(32))


def test_one_process_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    first = opened(path)
    with pytest.raises(JournalError):
        opened(path)
    first.close()
    opened(path).close()


def test_it_is_bounded_and_can_be_rewritten(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = opened(path)
    big = "x" * 100_000
    for _ in range(10):
        journal.append(big)
    with pytest.raises(JournalError):
        journal.append(big)
    assert path.stat().st_size <= MAX_BYTES
    journal.rewrite(["kept"])
    journal.append("next")
    journal.close()
    assert entries(path) == ["kept", "next"]
