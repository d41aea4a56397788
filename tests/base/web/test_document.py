"""schemathesis against both doors: what is documented is what is answered."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from kabao.base.web.server import Server, listen

from . import make

NOT_CHECKED = [positive_data_acceptance]
"""JSON Schema takes 1.0 for an integer; the doors do not."""

schema = schemathesis.openapi.from_dict(make.web(make.Till()).document)


@schema.auth()
class Key:
    def get(self, case: Any, context: Any) -> str:
        return make.TOKEN

    def set(self, case: Any, data: str, context: Any) -> None:
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = Server(make.web(make.Till()), signals=False)
    sock = listen("127.0.0.1", 0)
    address = f"http://127.0.0.1:{sock.getsockname()[1]}"
    thread = threading.Thread(target=server.run_on, args=[sock])
    thread.start()
    try:
        yield address
    finally:
        server.stop()
        thread.join()


@schema.parametrize()
@settings(max_examples=15, derandomize=True, suppress_health_check=list(HealthCheck), deadline=None)
def test_the_doors_keep_to_the_document(case: schemathesis.Case, url: str) -> None:
    case.call_and_validate(base_url=url, excluded_checks=NOT_CHECKED)
