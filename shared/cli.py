"""The command ``offramp``: gathers the groups of commands that the services and the deployment offer."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, entry_points

import typer

from .errors import OperatorError

GROUP = "offramp.commands"


def main() -> None:
    """Run the command line; an ``OperatorError`` becomes one sentence on stderr and exit code 1."""
    groups = tuple(entry_points(group=GROUP))
    try:
        build(_wanted(groups, sys.argv[1:]))(prog_name="offramp")
    except OperatorError as error:
        typer.echo(f"offramp: {error}", err=True)
        sys.exit(1)


def build(groups: tuple[EntryPoint, ...]) -> typer.Typer:
    """Make one command of *groups*: each entry point is a ``typer.Typer`` named as the group."""
    app = typer.Typer(
        help="Carries a customer out of its contract: notice, 90 days of export, deletion, proof.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    # Without a callback, typer would make a lone command of a lone group.
    app.callback()(lambda: None)
    for group in sorted(groups, key=lambda group: group.name):
        app.add_typer(_load(group), name=group.name)
    return app


def _wanted(groups: tuple[EntryPoint, ...], arguments: list[str]) -> tuple[EntryPoint, ...]:
    """Keep the one group that is asked for, so that nobody waits for another group's imports."""
    named = tuple(group for group in groups if group.name == next(iter(arguments), None))
    return named or groups


def _load(group: EntryPoint) -> typer.Typer:
    loaded = group.load()
    if not isinstance(loaded, typer.Typer):
        msg = f"the entry point {group.name} = {group.value} is not a typer.Typer: mend it in pyproject.toml."
        raise OperatorError(msg)
    return loaded
