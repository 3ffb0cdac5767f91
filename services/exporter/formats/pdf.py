"""PDF/A: a tagged paper for each certificate and report that the data map declares, set by typst."""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .papers import Paper, each_paper
from .whole import Whole

if TYPE_CHECKING:
    from services.exporter.archive.snapshot import Shown
    from services.exporter.archive.source import Files, Source

# The compiler remembers what it has set and would grow for ever, so its process is renewed after so many papers.
_RENEWED_AFTER = 1000
# So many papers are handed on before the first is written, so that the compiler never waits for the next.
_AHEAD = 4
# PDF/A-2a keeps (ISO 19005-2), PDF/UA-1 can be read aloud (ISO 14289-1).
STANDARDS = ["a-2a", "ua-1"]
# PDF/A has to name a moment (here in seconds since 1970): 1980-01-01 as in the ZIP, which tells nothing of when.
_STAMP = 315_532_800
_MISSING = re.compile(r'the text `"(.+?)"` could not be displayed', re.DOTALL)


class Pdf(Whole):
    """The format to read and to print.

    A character for which no font is installed is shown as ``?``, and the paper says so; the other formats have it.
    """

    name = "pdf"
    folder = "pdf"
    holds_rows = False

    async def write(self, source: Source, files: Files) -> Mapping[str, int]:
        """Write a file for each row of each table that is declared as papers."""
        papers = [shown for shown in source.tables if shown.table.document]
        if not papers:
            return {}
        # Spawned, since a fork of a process with threads may hang; it is the one process that loads fonts.
        with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=_RENEWED_AFTER) as press:
            return {shown.table.name: await _papers(source, shown, files, press) for shown in papers}


async def _papers(source: Source, shown: Shown, files: Files, press: ProcessPoolExecutor) -> int:
    loop, folder = asyncio.get_running_loop(), f"{shown.table.category}/{shown.table.name}"

    # In their order, which is that of the archive.
    ahead: deque[tuple[str, asyncio.Future[bytes]]] = deque()

    async def write_next() -> None:
        path, body = ahead.popleft()
        async with files.file(path, packed=False, listed=False) as file:
            await file.write(await body)

    async def receive(paper: Paper) -> None:
        setting = loop.run_in_executor(press, render, paper, source.map.system)
        ahead.append((f"{folder}/{paper.name}.pdf", setting))
        if len(ahead) > _AHEAD:
            await write_next()

    try:
        made = await each_paper(source, shown, receive)
        while ahead:
            await write_next()
    finally:
        for _, setting in ahead:
            setting.cancel()
        await asyncio.gather(*(setting for _, setting in ahead), return_exceptions=True)
    if made:
        files.lists(f"{folder}/", shown.table.name)
    return made


def render(paper: Paper, system: str) -> bytes:
    """Set *paper*; the same paper gives the same bytes."""
    # Only the process that sets papers loads the compiler: the exporter's own memory has no room for it.
    from typst import TypstError  # noqa: PLC0415

    plain = False
    while True:
        text, lost = _fitting(paper, plain=plain)
        inputs = {"data": json.dumps({**text, "lost": lost, "system": system})}
        try:
            made = _compiler().compile(format="pdf", sys_inputs=inputs, pdf_standards=STANDARDS, timestamp=_STAMP)
        except TypstError as error:
            missing = _MISSING.search(str(error))
            if missing is None or plain:
                raise
            # What is joined to a missing character may fail for no reason of its own: then only plain letters are kept.
            plain = not _learn(missing.group(1))
        else:
            return bytes(made)


@cache
def _compiler() -> Any:
    from typst import Compiler  # noqa: PLC0415

    return Compiler(str(Path(__file__).with_name("paper.typ")))


# Of this process: characters that no installed font has.
_UNKNOWN: set[str] = set()


def _learn(text: str) -> bool:
    """Remember the characters of *text* as missing; false if nothing new is learned."""
    found = set(re.sub(r"\\u\{([0-9a-f]+)\}", lambda code: chr(int(code.group(1), 16)), text)) - _UNKNOWN
    _UNKNOWN.update(found)
    return bool(found)


def _fitting(paper: Paper, *, plain: bool) -> tuple[dict[str, Any], bool]:
    lost = False

    def fit(text: str) -> str:
        nonlocal lost
        kept = "".join(letter if _fits(letter, plain=plain) else "?" for letter in text)
        lost = lost or kept != text
        return kept

    parts = [[fit(heading), [[fit(name), fit(value)] for name, value in pairs]] for heading, pairs in paper.parts]
    return {"title": fit(paper.title), "parts": parts}, lost


def _fits(letter: str, *, plain: bool) -> bool:
    if plain:
        return letter == "\n" or (letter.isprintable() and letter <= "\xff")
    return letter not in _UNKNOWN and (letter >= " " or letter in "\n\t\r")
