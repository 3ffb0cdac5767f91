"""``offramp verify`` with all the rest of the command around it."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner, Result

from shared.commands import build


def verified(*arguments: str | Path) -> Result:
    """Run it on *arguments*; what it raises is in the result's ``exception``."""
    return CliRunner().invoke(build(()), ["verify", *map(str, arguments)])
