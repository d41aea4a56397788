"""`python -m kabao.app.child NAME FD`: what every server and worker begins with."""

from __future__ import annotations

import importlib
import signal
import sys

from kabao.app.settings import Settings
from kabao.base import logs
from kabao.base.errors import KabaoError
from kabao.base.process import Child

REFUSED = 3
"""Exit status after an error that the parent was told about."""


def main(lifeline_fd: int) -> None:
    """Join the parent and run the entry point it names.

    An entry is `run(settings, child)`: it serves until SIGTERM, calls
    `child.ready()` once it does its work, and takes `child.sockets["http"]`
    to accept from.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = Child.join(lifeline_fd)
    settings = Settings.from_json(child.settings)
    logs.configure(settings.log_level)
    module, _, function = child.entry.partition(":")
    try:
        getattr(importlib.import_module(module), function)(settings, child)
    except KabaoError as refused:
        child.refuse(refused)
        sys.exit(REFUSED)


if __name__ == "__main__":
    main(int(sys.argv[2]))
