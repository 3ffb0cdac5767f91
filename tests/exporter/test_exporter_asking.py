"""Who asks for something on the command line is named as in an event: by a reference, never by a name."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from tests.exporter_perform.command_line import offramp

DELIVER = ("deliver", "acme", "e-1", "--to", "new-provider")
REVOKE = ("link", "acme", "--revoke")


@pytest.mark.parametrize("words", [DELIVER, REVOKE])
@pytest.mark.parametrize("by", ["Ann Lee", "", "ann@acme.test", "x" * 129, "\udcff"])
def test_who_asks_is_no_persons_name(words: tuple[str, ...], by: str) -> None:
    """It is told in a sentence what may be given, before anything is read or said."""
    said = CliRunner().invoke(offramp(), ["export", *words, "--by", by])

    assert said.exit_code == 2
    assert isinstance(said.exception, SystemExit)
    assert "opaque reference" in said.stderr
