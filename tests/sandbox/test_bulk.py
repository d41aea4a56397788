"""Bills in bulk: the same seed draws the same day, and every planted error is told."""

from __future__ import annotations

import csv
import json
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kabao_sandbox.__main__ import app
from kabao_sandbox.bulk.command import write
from kabao_sandbox.bulk.forms import FORMS
from kabao_sandbox.bulk.model import Flaw

DAY = date(2026, 11, 22)


@pytest.mark.parametrize("kind", FORMS)
def test_the_truth_is_what_was_planted(kind: str, tmp_path: Path) -> None:
    written = write(kind, tmp_path, 400, 40, DAY, 7)
    truth = json.loads(Path(written.truth).read_bytes())
    counts = Counter(error["flaw"] for error in truth["errors"])
    assert counts == dict.fromkeys((flaw.value for flaw in Flaw), 5)
    with Path(written.books).open(newline="") as file:
        known = list(csv.DictReader(file))
    assert len(known) == 400 - counts["missing_here"]
    assert truth["rows"] == 400 - counts["missing_there"] + counts["duplicate"]
    bent = {error["no"]: error["flaw"] for error in truth["errors"]}
    assert len(bent) == 40, "each error is of another order"
    here = {one["no"] for one in known}
    assert {no for no, flaw in bent.items() if flaw == "missing_here"} == bent.keys() - here
    failed = {one["no"] for one in known if one["status"] != "done"}
    assert failed == {no for no, flaw in bent.items() if flaw == "status"}


@pytest.mark.parametrize("kind", FORMS)
def test_the_same_seed_writes_the_same_rows(kind: str, tmp_path: Path) -> None:
    again = [write(kind, tmp_path / str(n), 100, 16, DAY, seed) for n, seed in enumerate((3, 3, 4))]
    books = [Path(one.books).read_bytes() for one in again]
    truth = [Path(one.truth).read_bytes() for one in again]
    assert books[0] == books[1] != books[2]
    assert truth[0] == truth[1] != truth[2]
    if not again[0].bill.endswith("zip"):
        bills = [Path(one.bill).read_bytes() for one in again]
        assert bills[0] == bills[1] != bills[2]


def test_the_command_says_what_it_cannot_write(tmp_path: Path) -> None:
    for arguments in (["nobody", str(tmp_path)], ["wechat", str(tmp_path), "--errors", "2000"]):
        assert CliRunner().invoke(app, ["bills", *arguments]).exit_code == 2
    said = CliRunner().invoke(app, ["bills", "wechat", str(tmp_path), "--rows", "50"])
    assert said.exit_code == 0
    assert Path(json.loads(said.stdout)["bill"]).exists()
