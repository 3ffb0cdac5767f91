"""A holder in another language, with nothing but Kafka and JSON, is understood and understands."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.stack.jars import class_path
from shared.clock import system_clock
from shared.events.platform import Erased, LegalHoldPlaced, LegalHoldReleased, NotErased, OfTables
from shared.events.retention import Keep
from shared.settings import read_settings
from tests.holder.command_topics import Topics, command, command_topics

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "holder" / "Holder.java"
NOW = system_clock()

pytestmark = pytest.mark.skipif(
    shutil.which("javac") is None, reason="the example needs a JDK (a JRE can't compile it)"
)


@pytest.fixture
async def topics(tmp_path: Path) -> AsyncIterator[Topics]:
    """Start the example with two customers' files in its folder."""
    for name in ("acme/a.txt", "acme/b/c.txt", "acme-east/a.txt"):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_text("x")
    settings = read_settings()
    jars = ":".join(map(str, class_path(settings.cache)))
    async with command_topics() as topics:
        arguments = (str(EXAMPLE), settings.kafka, topics.prefix, "billing", str(tmp_path))
        java = await asyncio.create_subprocess_exec("java", "-cp", jars, *arguments)
        yield topics
        java.terminate()
        await java.wait()


async def known(folder: Path, kind: str) -> None:
    """Wait until the example has read a hold or its release: a command is another topic's, and may come first."""
    async with asyncio.timeout(60):
        while not list(folder.glob(f"holds/acme/*.{kind}")):
            await asyncio.sleep(0.05)


def hold() -> LegalHoldPlaced:
    return LegalHoldPlaced(customer_id="acme", hold_id="h/1", basis="BFL 7:2", placed_by="s:1", placed_at=NOW)


def release() -> LegalHoldReleased:
    return LegalHoldReleased(customer_id="acme", hold_id="h/1", released_by="s:1", released_at=NOW)


async def test_the_example_spares_a_part_by_sparing_all(topics: Topics, tmp_path: Path) -> None:
    """What a command says has to stay keeps everything there; a hold that is known to concern others keeps nothing."""
    keep = (Keep(hold_id="h/1", scope=OfTables(tables=("files",))),)
    await topics.tell(hold().model_copy(update={"scope": OfTables(tables=("files",))}))
    await known(tmp_path, "placed")
    await topics.tell(command("billing", keep=keep, holds=("h/1",)))
    kept = await topics.answer()
    await topics.tell(command("billing", 2, holds=("h/2",)))
    unknown = await topics.answer()
    await topics.tell(command("billing", 3, holds=("h/1", "h/2")))
    elsewhere = await topics.answer()

    assert [kept.outcome, unknown.outcome] == [NotErased(reason="held")] * 2
    assert isinstance(elsewhere.outcome, Erased)


async def test_the_example_follows_the_protocol(topics: Topics, tmp_path: Path) -> None:
    """Held, then erased, then the same answer again; another's command, or one out of date, is none of its business."""
    await topics.tell(hold())
    await known(tmp_path, "placed")
    await topics.tell(command("billing", -1))
    await topics.tell(command("billing"))
    held = await topics.answer()
    files = sorted(str(file.relative_to(tmp_path / "data")) for file in tmp_path.glob("data/**/*.txt"))
    await topics.tell(release())
    await known(tmp_path, "released")
    await topics.tell(command("crm"))
    await topics.tell(command("billing", 2))
    erased = await topics.answer()
    await topics.tell(command("billing", 2))
    again = await topics.answer()

    assert held.outcome == NotErased(reason="held")
    assert files == ["acme-east/a.txt", "acme/a.txt", "acme/b/c.txt"]
    assert isinstance(erased.outcome, Erased)
    assert [(one.table, one.rows) for one in erased.outcome.deleted] == [("files", 2)]
    assert [one.rows for one in erased.outcome.remaining] == [0]
    assert [(one.rows_before, one.before == one.after) for one in erased.outcome.bystanders] == [(1, True)]
    assert again == erased
    assert [str(file.relative_to(tmp_path / "data")) for file in tmp_path.glob("data/**/*.txt")] == ["acme-east/a.txt"]
