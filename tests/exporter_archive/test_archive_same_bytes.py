"""The same data makes the same bytes, wherever its rows lie on the disk and whenever it is exported."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from zipfile import ZipFile

import pytest
from archive_school import NOW, School

from services.exporter.archive.archive import GATHERED, Archive
from services.exporter.archive.build import build
from services.exporter.archive.sink import FileSink
from services.exporter.formats.documents import PAGE
from services.exporter.formats.format import Format
from services.exporter.formats.registry import ALL
from services.exporter.formats.whole import Whole
from shared.signing.keys import make_keys
from shared.signing.signer import Signer
from shared.signing.sshsig import ARCHIVE

FOLDER = Path(__file__).parent
# In the order in which they come, after all the rest.
TELLS_WHEN = [
    "data/completeness.json",
    "data/README.txt",
    "index.html",
    "VERIFY.txt",
    "bag-info.txt",
    "manifest-sha256.txt",
    "tagmanifest-sha256.txt",
    "tagmanifest-sha256.txt.sshsig",
    "tagmanifest-sha256.txt.sig",
]
# Rows of equal values that are written in different ways; documents and papers without a key; a list of several parts.
TABLES = f"""
    create domain marked as integer constraint b check (value < 100) constraint a check (value > 0);
    create table loose (
        user_id bigint not null, amount numeric, ratio float8, span interval, doc json, docs jsonb, word char(5),
        code bpchar, words text[], said text, mark marked
    );
    insert into loose
    select 1 + n % 2 * 9007199254740992, one.*
      from generate_series(1, 20) n, (values
        (1.0, '0'::float8, '1 day'::interval, '{{"a":1}}'::json, '1.0'::jsonb, 'a', 'a'::bpchar, '{{}}'::text[], 'x',
         1::marked),
        (1.00, '0', '1 day', '{{"a":1}}', '1.0', 'a', 'a', '{{}}', 'x', 1),
        (1.0, '-0', '1 day', '{{"a":1}}', '1.0', 'a', 'a', '{{}}', 'x', 1),
        (1.0, '0', '24:00', '{{"a":1}}', '1.0', 'a', 'a', '{{}}', 'x', 1),
        (1.0, '0', '1 day', '{{"a": 1}}', '1.0', 'a', 'a', '{{}}', 'x', 1),
        (1.0, '0', '1 day', '{{"a":1}}', '1.00', 'a', 'a', '{{}}', 'x', 1),
        (1.0, '0', '1 day', '{{"a":1}}', '1.0', 'a', 'a ', '{{}}', 'x', 1),
        (1.0, '0', '1 day', '{{"a":1}}', '1.0', 'a', 'a', '{{""}}', 'x', 1),
        (1.0, '0', '1 day', '{{"a":1}}', '1.0', 'a', 'a', '{{NULL}}', 'x', 1),
        (1.0, '0', '1 day', '{{"a":1}}', '1.0', 'a', 'a', '{{}}', '', 1),
        (1.0, '0', '1 day', '{{"a":1}}', '1.0', 'a', 'a', '{{}}', null, 1),
        (1.0, '0', '1 day', 'null', '1.0', 'a', 'a', '{{}}', null, null),
        (1.0, '0', '1 day', null, '1.0', 'a', 'a', '{{}}', null, null),
        (7, 'NaN', '-1 mon', '[]', '[]', 'b', 'b', '{{NULL}}', 'räksmörgås', 9)) one;
    create table papers (customer_id text references customers, title text, figures json);
    insert into papers
    values ('acme', 'Two', '[1]'), ('acme', 'One', null), ('acme', 'Two', '[1.0]'), ('acme', 'Two', '[1]');
    create table remarks (id serial primary key, note_id uuid not null references notes, said text);
    insert into remarks (note_id, said)
    select id, repeat('long ', {PAGE} / 40) from notes, generate_series(1, 20);
"""
MAP = """
  zoo: {category: user, owner: {column: customer_id}}
  copy_of_zoo: {exempt: a copy}
  loose: {category: course, owner: {path: [{column: user_id, to: users.id}]}}
  papers: {category: report, document: report, owner: {column: customer_id}}
  remarks: {category: course, owner: {path: [{column: note_id, to: notes.id}, {column: user_id, to: users.id}]}}
  settings:"""
# Each row's newest version is written behind those before it, so the last ones come first; VACUUM keeps them so.
REVERSED = """
do $$ declare one regclass; place tid; place_before tid[]; first text; begin
    for one, first in
        select c.oid::regclass, quote_ident(a.attname)
          from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum = 1
         where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace
    loop
        execute format('select array_agg(ctid order by ctid desc) from %s', one) into place_before;
        foreach place in array coalesce(place_before, '{}') loop
            execute format('update %s set %s = %s where ctid = $1', one, first, first) using place;
        end loop;
    end loop;
end $$
"""


@pytest.fixture
async def many(school: School) -> School:
    await school.run((FOLDER / "zoo.sql").read_text())
    await school.run(TABLES)
    return school.mapped("\n  settings:", MAP)


async def archived(
    school: School, path: Path, days: int, *formats: Format | Whole, signer: Signer | None = None
) -> Path:
    """Export acme as of so many *days* later."""
    order = replace(school.order(), formats=formats, now=NOW + timedelta(days=days), signer=signer)
    await build(school.sources, order, FileSink(path))
    return path


def before_it_tells(path: Path) -> bytes:
    """Give the bytes of the ZIP, headers too, up to the first file that tells when it was made."""
    with ZipFile(path) as opened:
        return path.read_bytes()[: opened.getinfo(f"export-1/{TELLS_WHEN[0]}").header_offset]


@pytest.mark.parametrize("name", ALL)
async def test_the_same_rows_in_another_order_on_disk_make_the_same_bytes(
    many: School, tmp_path: Path, name: str
) -> None:
    """With a key and without one, of every type, nested, in papers: the format makes the same files of them."""
    first = await archived(many, tmp_path / "first.zip", 0, ALL[name])
    await many.run(REVERSED)
    await many.run("vacuum full")
    await many.run("analyze")

    second = await archived(many, tmp_path / "second.zip", 1, ALL[name])
    assert before_it_tells(first) == before_it_tells(second)


async def test_only_what_tells_when_it_was_made_differs(many: School, tmp_path: Path) -> None:
    """All other files of two exports are the same, and lie before those."""
    make_keys(tmp_path / "keys", ARCHIVE)
    signer = Signer.load(tmp_path / "keys", ARCHIVE)
    paths = [await archived(many, tmp_path / f"{days}.zip", days, *ALL.values(), signer=signer) for days in (0, 400)]
    with ZipFile(paths[0]) as first, ZipFile(paths[1]) as second:
        names = first.namelist()
        differing = [name for name in names if first.read(name) != second.read(name)]
        assert second.namelist() == names

    assert [name.removeprefix("export-1/") for name in names][-len(TELLS_WHEN) :] == TELLS_WHEN
    assert [name.removeprefix("export-1/") for name in differing] == TELLS_WHEN
    assert before_it_tells(paths[0]) == before_it_tells(paths[1])


async def test_how_the_network_cut_the_bytes_changes_nothing(tmp_path: Path) -> None:
    """What deflate makes of a file is the same however it arrived."""
    random = Random(7)
    body = b"".join(b"%d,acme,%d\n" % (number, random.randrange(10**6)) for number in range(150_000))
    assert len(body) > 4 * GATHERED
    made = []
    for run in range(3):
        path = tmp_path / f"{run}.zip"
        async with FileSink(path) as sink:
            archive = Archive(sink, "a")
            cuts = sorted(random.sample(range(len(body)), 50 * run))
            pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
            await archive.add("data/one.csv", pieces)
            await archive.close_bag({}, None, NOW)
            archive.close()
        made.append(path.read_bytes())

    assert made[0] == made[1] == made[2]
