"""PDF/A: a tagged paper for each certificate and report that the data map declares, set by typst."""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.renewed_process import RenewedProcess

from .papers import Paper, each_paper
from .whole import Whole

if TYPE_CHECKING:
    from services.exporter.archive.snapshot import Shown
    from services.exporter.archive.source import Files, Source

# The compiler remembers what it has set and would grow for ever, so a process is renewed after so many papers.
_RENEWED_AFTER = 1000
# So many processes set papers, each with 85 MiB of fonts and what it remembers.
_PRESSES = 2
# So many papers are handed on before the first is written, so that no compiler waits for the next.
_AHEAD = 4 * _PRESSES
# PDF/A-2a keeps (ISO 19005-2), PDF/UA-1 can be read aloud (ISO 14289-1).
STANDARDS = ["a-2a", "ua-1"]
# PDF/A has to name a moment (here in seconds since 1970): 1980-01-01 as in the ZIP, which tells nothing of when.
_STAMP = 315_532_800
# What a complaint of the compiler is about: a text that no font has, or a character that PDF/A forbids (a mark of byte
# order, one for private use), with what can't be printed as a code.
_NAMED = re.compile(r'(?:the text|codepoint) `"(.+?)"`', re.DOTALL)
_CODE = re.compile(r"\\u\{([0-9a-f]+)\}")


class Pdf(Whole):
    """The format to read and to print.

    A character that no installed font has or that PDF/A forbids is shown as ``?``, and the paper says so; the other
    formats have it.
    """

    name = "pdf"
    folder = "pdf"
    holds_rows = False

    async def write(self, source: Source, files: Files) -> Mapping[str, int]:
        """Write a file for each row of each table that is declared as papers."""
        papers = [shown for shown in source.tables if shown.table.document]
        if not papers:
            return {}
        presses = tuple(RenewedProcess(_RENEWED_AFTER) for _ in range(_PRESSES))
        try:
            return {shown.table.name: await _papers(source, shown, files, presses) for shown in papers}
        finally:
            for press in presses:
                press.close()


async def _papers(source: Source, shown: Shown, files: Files, presses: Sequence[RenewedProcess]) -> int:
    folder, free = files.folder(f"{shown.table.category}/{shown.table.name}", shown.table.name), cycle(presses)

    # In their order, which is that of the archive.
    ahead: deque[tuple[str, asyncio.Future[bytes]]] = deque()

    async def write_next() -> None:
        name, body = ahead.popleft()
        async with folder.file(name) as file:
            await file.write(await body)

    async def receive(paper: Paper) -> None:
        setting = next(free).call(render, paper, source.map.system)
        ahead.append((f"{paper.name}.pdf", setting))
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
    return made


def render(paper: Paper, system: str) -> bytes:
    """Set *paper*; the same paper gives the same bytes, whatever this process has set before."""
    # Only the process that sets papers loads the compiler: the exporter's own memory has no room for it.
    from typst import TypstError  # noqa: PLC0415

    plain = False
    while True:
        text, lost = _fitting(paper, plain=plain)
        try:
            return _set({**text, "lost": lost, "system": system})
        except TypstError as error:
            if plain:
                raise
            # What is joined to a missing character may fail for no reason of its own: then only plain letters are kept.
            plain = not _learn(str(error))


def _set(data: Mapping[str, Any]) -> bytes:
    inputs = {"data": json.dumps(data)}
    return bytes(_compiler().compile(format="pdf", sys_inputs=inputs, pdf_standards=STANDARDS, timestamp=_STAMP))


@cache
def _compiler() -> Any:
    from typst import Compiler  # noqa: PLC0415

    return Compiler(str(Path(__file__).with_name("paper.typ")))


# Of this process: characters that can't be set even by themselves. So it is the same for a paper when they were found.
_UNKNOWN: set[str] = set()


def _learn(complaint: str) -> bool:
    """Find out which of the characters that *complaint* names can't be set; false if nothing new is learned."""
    named = _NAMED.search(complaint)
    letters = set(_CODE.sub(lambda code: chr(int(code.group(1), 16)), named.group(1))) if named else set()
    found = {letter for letter in letters - _UNKNOWN if not _can_be_set(letter)}
    _UNKNOWN.update(found)
    return bool(found)


def _can_be_set(letter: str) -> bool:
    from typst import TypstError  # noqa: PLC0415

    try:
        # Between others, since some are passed over where they stand alone.
        _set({"title": f"a{letter}a", "parts": [], "lost": False, "system": ""})
    except TypstError:
        return False
    return True


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
