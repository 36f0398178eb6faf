"""`tlf devices`: which devices can be used here, and why."""

from __future__ import annotations

import typer

from tlf.cli.arguments import Json

devices_app = typer.Typer(help="List the devices that networks can run on.", rich_markup_mode=None)


# A group with one command would otherwise be that command itself.
@devices_app.callback()
def _devices() -> None: ...


@devices_app.command("list")
def list_command(as_json: Json = False) -> None:
    """List every device, whether it can be used here, and why or why not.

    With its options as they are by default.
    """
    from tlf.cli.output import results, write_json
    from tlf.cli.tables import table
    from tlf.engine.devices import list_devices
    from tlf.registry import load_registry

    listed = list_devices(load_registry())
    if as_json:
        write_json(
            [
                {
                    "name": device.name,
                    "available": device.available,
                    "reason": device.reason,
                    "plugin": device.plugin,
                }
                for device in listed
            ]
        )
        return
    rows = [[device.name, "yes" if device.available else "no", device.reason] for device in listed]
    results().print(table(["device", "available", "reason"], rows))
