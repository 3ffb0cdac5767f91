"""The command ``offramp export`` with all that the exporter adds to it, as a shell has it."""

from __future__ import annotations

from importlib.metadata import entry_points

import typer

from shared import commands


def offramp() -> typer.Typer:
    """Give ``offramp`` with that one group."""
    groups = entry_points(group=commands.GROUP)
    return commands.build(tuple(one for one in groups if one.name.partition(".")[0] == "export"))
