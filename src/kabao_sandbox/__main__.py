"""`python -m kabao_sandbox`."""

from __future__ import annotations

import typer

from kabao_sandbox.tills.command import tills_command

EXAMPLE = (
    "Example: python -m kabao_sandbox tills .kabao/demo.json --tills 6 --lost 10 --duplicate 10"
)

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def main() -> None:
    """Play the world around a running Kabao."""


app.command("tills", epilog=EXAMPLE)(tills_command)

if __name__ == "__main__":
    app(prog_name="python -m kabao_sandbox")
