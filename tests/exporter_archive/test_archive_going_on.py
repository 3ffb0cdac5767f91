"""An export that was stopped goes on where it was: it reads all again, and sends what isn't there."""

from __future__ import annotations

import asyncio
import fcntl
import io
import json
import os
import sys
from hashlib import sha256
from pathlib import Path
from signal import Signals
from typing import Any
from zipfile import ZipFile

import pytest
from archive_school import MAP, School

from shared.verify.archive import verify

KEY = "acme/one.zip"
# Digits that don't deflate to nothing, so that there are parts.
ESSAYS = """
    create table essays (id integer primary key, customer_id text not null, said text not null);
    insert into essays
    select n, 'acme', (select string_agg(sha512((n || ' ' || m)::bytea)::text, '') from generate_series(1, 500) m)
      from generate_series(1, 500) n
"""
# The command as it is, but it gets a signal when it is so far, and so many parts lie there: later ones aren't sent, or
# one that was under way could land after whoever sent it is dead.
STOPPED = """
import asyncio, os, signal, sys
from contextlib import contextmanager
from services.exporter import commands
from shared.cli import main
from shared.upload import Upload

number, stage, size, parts = signal.Signals(int(sys.argv[1])), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
left, begun, landed, far = [number], [], [], []

def stop():
    if left and far and len(landed) == parts:
        os.kill(os.getpid(), left.pop())

@contextmanager
def shown(*, quiet):
    def tell(at):
        if at.stage == stage and at.size >= size:
            far.append(at)
            stop()
    yield tell

send = Upload._send_part

async def sent(upload, number, part):
    begun.append(number)
    if len(begun) > parts:
        await asyncio.Event().wait()
    answer = await send(upload, number, part)
    landed.append(number)
    stop()
    return answer

commands._shown = shown
Upload._send_part = sent
sys.argv[:] = ["offramp", "export", *sys.argv[5:]]
main()
"""
AMID_ROWS = ("essays csv", 14_000_000, 1)
AFTER_ROWS = ("uploads", 0, 2)


@pytest.fixture
async def writers(school: School) -> School:
    await school.run(ESSAYS)
    return school.mapped("\n  settings:", "\n  essays: {category: report, owner: {column: customer_id}}\n  settings:")


async def command(
    school: School, folder: Path, to: str, *more: str, stop: tuple[int, str, int, int] | None = None
) -> tuple[int, str, str]:
    """Run ``offramp export``, stopped by a signal at a stage, size and part; gives exit code, output and errors."""
    path = folder / "map.yaml"
    declared = MAP.replace("\n  settings:", "\n  essays: {category: report, owner: {column: customer_id}}\n  settings:")
    await asyncio.to_thread(path.write_text, declared.replace("BUCKET", school.bucket))
    begin = ["-c", STOPPED, *map(str, stop)] if stop else ["-c", "from shared.cli import main; main()", "export"]
    named = ["--map", str(path), "--dsn", school.dsn, "--customer", "acme", "--to", to, "--format", "csv", *more]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE}
    child = await asyncio.create_subprocess_exec(sys.executable, *begin, *named, **pipes, env=environment)
    try:
        async with asyncio.timeout(120):
            out, err = await child.communicate()
    except TimeoutError:
        child.kill()
        raise
    assert child.returncode is not None
    return child.returncode, out.decode(), err.decode()


async def gone_on(school: School, folder: Path) -> dict[str, Any]:
    """Give the same command again, restoring and comparing; gives its report and checks what lies there."""
    more = ["--json", "--scratch", school.dsn]
    code, out, err = await command(school, folder, f"s3://{school.bucket}/{KEY}", *more)
    assert code == 0, err
    report: dict[str, Any] = json.loads(out)
    body = await school.store.get(school.bucket, KEY)
    assert report["sha256"] == sha256(body).hexdigest()
    assert "essays" in report["compared"]
    # One object, and no upload beside it.
    assert await school.store.count_left(school.bucket, "acme/") == 1
    return report


async def essays(school: School) -> str:
    with ZipFile(io.BytesIO(await school.store.get(school.bucket, KEY))) as opened:
        return opened.read("one/data/csv/report/essays.csv").decode()


@pytest.mark.parametrize("at", [AMID_ROWS, AFTER_ROWS], ids=lambda at: at[0])
async def test_a_killed_export_goes_on(writers: School, tmp_path: Path, at: tuple[str, int, int]) -> None:
    """SIGKILL leaves no object; the same command sends what isn't there, and the archive holds the rows as of now."""
    to = f"s3://{writers.bucket}/{KEY}"
    code, _, _ = await command(writers, tmp_path, to, stop=(Signals.SIGKILL, *at))
    assert code == -Signals.SIGKILL
    assert [one async for one in writers.store.list(writers.bucket, "acme/")] == []
    # In a table of which parts lie there already.
    await writers.run("update essays set said = 'changed since' where id = 450; delete from essays where id = 451")

    report = await gone_on(writers, tmp_path)
    assert report["taken_over"]["parts"] >= 1
    assert report["tables"]["essays"] == 499
    text = await essays(writers)
    assert "450,acme,changed since\n" in text
    assert "\n451," not in text


async def test_an_export_killed_twice_goes_on_from_where_it_was_last(writers: School, tmp_path: Path) -> None:
    """What the first try sent and what the second one sent both stand."""
    to = f"s3://{writers.bucket}/{KEY}"
    await command(writers, tmp_path, to, stop=(Signals.SIGKILL, *AMID_ROWS))
    first = await parts(writers)
    await command(writers, tmp_path, to, stop=(Signals.SIGKILL, *AFTER_ROWS))
    second = await parts(writers)

    assert (len(first), len(second)) == (1, 2)
    assert first.items() <= second.items()
    assert (await gone_on(writers, tmp_path))["taken_over"]["parts"] >= len(second)


async def parts(school: School) -> dict[int, object]:
    """Give number and moment of each part of the one unfinished upload."""
    ((key, upload_id),) = [one async for one in school.store.unfinished(school.bucket, "acme/")]
    listed = await school.store._client.list_parts(Bucket=school.bucket, Key=key, UploadId=upload_id)
    return {one["PartNumber"]: one["LastModified"] for one in listed["Parts"]}


@pytest.mark.parametrize("number", [Signals.SIGINT, Signals.SIGTERM])
async def test_an_interrupted_export_says_how_to_go_on(writers: School, tmp_path: Path, number: Signals) -> None:
    """It ends with an exit code of its own and keeps what it has sent; nothing goes to standard output."""
    to = f"s3://{writers.bucket}/{KEY}"
    code, out, err = await command(writers, tmp_path, to, "--json", stop=(number, *AFTER_ROWS))

    assert (code, out) == (128 + number, "")
    assert f"stopped by {number.name}; no archive was made. The same command goes on" in err
    assert "Traceback" not in err
    assert [one async for one in writers.store.list(writers.bucket, "acme/")] == []
    assert (await gone_on(writers, tmp_path))["taken_over"]["parts"] >= 1


async def test_a_database_that_goes_away_lets_the_export_go_on(writers: School, tmp_path: Path) -> None:
    """A wrong address, or one where nobody answers, is no reason to drop what was sent."""
    to = f"s3://{writers.bucket}/{KEY}"
    await command(writers, tmp_path, to, stop=(Signals.SIGKILL, *AFTER_ROWS))
    there = await parts(writers)
    code, _, err = await command(writers, tmp_path, to, "--dsn", "postgresql://nobody@127.0.0.1:1/none")

    assert (code, "can't be reached" in err) == (1, True)
    assert await parts(writers) == there


async def test_a_failure_for_good_keeps_nothing(writers: School, tmp_path: Path) -> None:
    """What somebody has to mend first is no interruption."""
    to = f"s3://{writers.bucket}/{KEY}"
    await command(writers, tmp_path, to, stop=(Signals.SIGKILL, *AFTER_ROWS))
    await writers.run("create table grades (id bigint)")
    code, _, err = await command(writers, tmp_path, to)

    assert (code, "grades" in err) == (1, True)
    assert await writers.store.count_left(writers.bucket, "acme/") == 0


async def test_an_interrupted_export_into_a_folder_leaves_no_rows(writers: School, tmp_path: Path) -> None:
    """They are read anew in any case, and it says so."""
    out = tmp_path / "out"
    code, _, err = await command(writers, tmp_path, str(out), stop=(Signals.SIGINT, "essays csv", 14_000_000, 0))

    assert code == 130, err
    assert "the same command reads all data again" in err
    assert list(out.iterdir()) == []


async def test_what_a_killed_export_left_in_a_folder_goes(writers: School, tmp_path: Path) -> None:
    """The next export of the same customer removes it; not what is being written, nor another customer's."""
    out = tmp_path / "out"
    await command(writers, tmp_path, str(out), stop=(Signals.SIGKILL, "essays csv", 14_000_000, 0))
    await asyncio.to_thread((out / f"{next(out.glob('*.unfinished')).name}.media").unlink)
    (left,) = out.iterdir()
    others = out / left.name.replace("acme", "acme-2")
    others.touch()
    with (out / ".acme-20260101T000000Z.zip.unfinished").open("wb") as writing:
        fcntl.flock(writing, fcntl.LOCK_EX)
        code, said, err = await command(writers, tmp_path, str(out))

    assert code == 0
    assert f"{left}: what a killed export had begun was removed" in err
    archive = Path(said.splitlines()[0])
    assert set(out.iterdir()) == {archive, others, Path(writing.name)}
    assert verify(archive).findings == ()
