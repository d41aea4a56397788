"""`python -m kabao_sandbox`."""

from __future__ import annotations

import typer

from kabao_sandbox.bulk.command import bills_command
from kabao_sandbox.kiosk.command import kiosk_command
from kabao_sandbox.parties import PARTIES
from kabao_sandbox.party.command import command
from kabao_sandbox.sms.command import sms_command
from kabao_sandbox.tills.command import tills_command
from kabao_sandbox.wechat_templates.command import account_command
from kabao_sandbox.world import world_command

EXAMPLE = (
    "Example: python -m kabao_sandbox tills .kabao/demo.json --tills 6 --lost 10 --duplicate 10"
)

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def main() -> None:
    """Play the world around a running Kabao."""


app.command("tills", epilog=EXAMPLE)(tills_command)
app.command(
    "kiosk",
    epilog="Example: python -m kabao_sandbox kiosk site.json kiosk.journal --cut 5 --jam 10",
)(kiosk_command)
app.command("world", epilog="Example: python -m kabao_sandbox world --port 9100 --out world.json")(
    world_command
)
app.command("sms", epilog="Example: python -m kabao_sandbox sms --port 9190 --desk 9191")(
    sms_command
)
app.command(
    "wechat-account",
    epilog="Example: python -m kabao_sandbox wechat-account --follower o_me --template T1:thing1",
)(account_command)
app.command(
    "bills",
    epilog="Example: python -m kabao_sandbox bills wechat bills --rows 100000 --errors 1000",
)(bills_command)
for name, party in PARTIES.items():
    app.command(name, epilog=f"Example: python -m kabao_sandbox {name} --port 9101 --desk 9102")(
        command(name, party)
    )

if __name__ == "__main__":
    app(prog_name="python -m kabao_sandbox")
