"""`python -m kabao_sandbox tills`, as a shell sees it."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kabao_sandbox.__main__ import app

CARD = {"number": "8800000000000000001", "pin": "123456"}
TERMINAL = {"terminal_no": "00000001", "merchant_no": "1" * 15, "tmk": "00" * 16}


def run(folder: Path, site: object) -> tuple[int, str]:
    path = folder / "site.json"
    path.write_text(json.dumps(site))
    done = CliRunner().invoke(app, ["tills", str(path)])
    return done.exit_code, done.output


def test_a_floor_without_a_host_fails_and_says_so(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        pos = f"127.0.0.1:{taken.getsockname()[1]}"
        code, said = run(tmp_path, {"pos": pos, "terminals": [TERMINAL], "cards": [CARD]})
    assert code == 1
    assert "DEFECT 00000001/000000: the day ended early" in said
    assert "0 batches settled" in said


@pytest.mark.parametrize(
    "site", [[], {"pos": "h:1"}, {"pos": "h:1", "terminals": [], "cards": [CARD]}]
)
def test_what_is_no_site_is_refused(tmp_path: Path, site: object) -> None:
    code, said = run(tmp_path, site)
    assert code == 2
    assert "site.json" in said.translate(dict.fromkeys(map(ord, "│ \n")))  # it is wrapped
