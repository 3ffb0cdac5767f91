"""Gathers the groups of commands that the services and the deployment offer into one."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from importlib.metadata import EntryPoint, entry_points

import typer

from .errors import OperatorError
from .verify.commands import ABOUT
from .verify.commands import main as verify

GROUP = "offramp.commands"


def run(arguments: Sequence[str]) -> None:
    """Run the command that *arguments* name, and end; raises ``OperatorError``."""
    groups = tuple(entry_points(group=GROUP))
    build(_wanted(groups, arguments), arguments[1:])(arguments, prog_name="offramp")


def build(groups: tuple[EntryPoint, ...], arguments: Sequence[str] = ()) -> typer.Typer:
    """Make one command of *groups*: each entry point is a ``typer.Typer`` named as the group.

    One that is called ``group.command`` is a function, which a part adds to the group of another part;
    it isn't loaded where a group that is a command itself was given *arguments* that don't name it.
    """
    app = typer.Typer(
        help="Carries a customer out of its contract: notice, 90 days of export, deletion, proof.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    # Without a callback, typer would make a lone command of a lone group.
    app.callback()(lambda: None)
    for group in sorted(groups, key=lambda group: group.name):
        if "." not in group.name:
            app.add_typer(_load(group, groups, arguments), name=group.name)
    app.command("verify", help=ABOUT, context_settings=_PASSED_ON)(_verify)
    return app


def _verify(context: typer.Context) -> None:
    # It reads its own arguments; here it is listed with the others.
    raise typer.Exit(verify(context.args))


_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def _wanted(groups: tuple[EntryPoint, ...], arguments: Sequence[str]) -> tuple[EntryPoint, ...]:
    """Keep the one group that is asked for, so that nobody waits for another group's imports."""
    asked = next(iter(arguments), "")
    named = tuple(group for group in groups if group.name.partition(".")[0] == asked)
    return named or groups


def _load(group: EntryPoint, groups: tuple[EntryPoint, ...], arguments: Sequence[str]) -> typer.Typer:
    loaded = group.load()
    if not isinstance(loaded, typer.Typer):
        msg = f"the entry point {group.name} = {group.value} is not a typer.Typer: mend it in pyproject.toml."
        raise OperatorError(msg)
    added = [one for one in groups if one.name.startswith(f"{group.name}.")]
    if loaded.info.invoke_without_command is True:
        added = _asked(added, arguments)
    if not added:
        return loaded
    # A typer of its own: whatever is added to the loaded one would stay there.
    both = copy(loaded)
    both.registered_commands = [*loaded.registered_commands]
    for one in added:
        both.command(one.name.removeprefix(f"{group.name}."))(one.load())
    return both


def _asked(added: list[EntryPoint], arguments: Sequence[str]) -> list[EntryPoint]:
    """Keep the commands that *arguments* may mean: an option first means none that isn't named somewhere.

    What a group does by itself isn't to carry what its commands load, which is tens of megabytes.
    """
    if not arguments or not arguments[0].startswith("-") or "--help" in arguments:
        return added
    return [one for one in added if one.name.rpartition(".")[2] in arguments]
