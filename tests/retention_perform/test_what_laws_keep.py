"""What a law keeps is read back on real rows, certified as kept, and named as gone in addenda that can be checked."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from retention_facts import CLOSED, answer, facts, journal, reading
from retention_systems import MAP, Platform
from test_certificate import foreign
from test_verify_certificate import written

from services.retention.addendum import Addendum, addendum_document, addendum_of
from services.retention.certificate import certificate_of, document
from services.retention.journal import Entry, Journal, noted
from services.retention.perform import check
from services.retention.proving import NotProvenError
from services.retention.reading import Reader
from services.retention.tasks import (
    Amend,
    Check,
    Checked,
    CheckFailed,
    ContinuedPart,
    HolderAnswer,
    HolderReading,
    JournalEntry,
    RetainedPart,
)
from services.retention.verifying import Asked, verify_text
from services.retention.words import FIELDS
from shared.events.vocabulary import TableCount
from shared.performer import Attempt
from shared.signing.keys import make_keys
from shared.verify.certificate import verify
from shared.verify.faults import BadCertificateError
from shared.verify.verdicts import Addition, First
from tests.verified import verified

LAW = "{basis: BFL 7:2, years: 7, time_zone: Europe/Stockholm, counted_from: {end_of_year: day}}"
BOOKS = f"""
  invoices:
    category: report
    owner: {{column: customer_id}}
    retain: {LAW}
    minimise: {{note: null}}
"""
INVOICES = """
    create table invoices (id int primary key, customer_id text references customers, day date, note text);
    insert into invoices values
        (1, 'acme', '2026-03-01', null), (2, 'acme', '2019-03-01', null), (3, 'acme2', null, 'x');
"""
LEFT = datetime(2027, 6, 1, tzinfo=UTC)


async def looked(platform: Platform, now: datetime = LEFT) -> Checked | CheckFailed:
    task = Check(customer_id="acme", deletion_id="d-1", attempt=2, holders=("platform-database",), before=())
    made = await check(Reader(platform.holders, platform.settings), task, Attempt(uuid4(), 1, lambda: now))
    assert isinstance(made, Checked | CheckFailed)
    return made


@pytest.fixture
async def books(platform: Platform) -> Platform:
    """Give a platform of which just what the law keeps, and the customer that it needs, is left."""
    (platform.holders_file.parent / "map.yaml").write_text(MAP + BOOKS.strip("\n"))
    await platform.run(INVOICES)
    await platform.run("delete from notes where user_id in (1, 2); delete from users where customer_id = 'acme'")
    await platform.run("delete from invoices where id = 2")
    await platform.store.delete_all_versions(platform.media, "acme/")
    return platform


def tables(checked: Checked | CheckFailed) -> dict[str, tuple[int, int]]:
    assert isinstance(checked, Checked)
    return {one.table: (one.own, one.kept) for one in checked.readings[0].tables}


async def test_the_check_reads_what_the_law_keeps(books: Platform) -> None:
    """By law, last day and number, with what is emptied; what such rows need is kept, and nothing else is left."""
    found = await looked(books)
    assert isinstance(found, Checked)
    (law,) = found.readings[0].retained

    assert (law.table, law.basis, law.until, law.rows) == ("invoices", "BFL 7:2", date(2033, 12, 31), 1)
    assert [(one.table, one.columns) for one in found.readings[0].emptied] == [("invoices", ("note",))]
    assert tables(found) == {"customers": (0, 1), "users": (0, 0), "notes": (0, 0), "invoices": (0, 1)}


async def test_when_its_time_has_come_it_is_left(books: Platform) -> None:
    """From that day on the same rows are a residue."""
    assert tables(await looked(books, datetime(2034, 6, 1, tzinfo=UTC)))["invoices"] == (1, 0)


async def test_what_was_not_emptied_is_left(books: Platform) -> None:
    """A kept row in which something stands that the map says is emptied counts as left."""
    await books.run("update invoices set note = 'to Ms Berg' where id = 1")

    assert tables(await looked(books))["invoices"] == (1, 1)


async def test_a_day_that_got_lost_fails_the_check(books: Platform) -> None:
    """Until when a row is kept that lost its day can't be told, so nothing is proven."""
    await books.run("update invoices set day = null where id = 1")

    assert isinstance(await looked(books), CheckFailed)


LATER = date(2041, 12, 31)


def part(rows: int = 3, until: date = date(2033, 12, 31)) -> RetainedPart:
    return RetainedPart(
        holder="platform-database", table="users", basis="BFL 7:2", until=until, rows=rows, minimised=("email",)
    )


def keeping(rows: int) -> HolderAnswer:
    return answer().model_copy(update={"kept": (TableCount(table="users", rows=rows),)})


def retained(**changed: object) -> bytes:
    told: dict[str, object] = {
        "answers": (keeping(5),),
        "after": (reading(0, kept=5),),
        "retained": (part(3), part(2, LATER)),
    }
    return document(certificate_of(facts(**{**told, **changed})))


def test_the_certificate_lists_it() -> None:
    """It says that all is erased but what it lists: the law, the last day, how many rows, and what is empty in them."""
    said = json.loads(retained())

    assert said["erased"] == "all_but_retained"
    assert [(one["basis"], one["until"], one["rows"], one["minimised"]) for one in said["retained"]] == [
        ("BFL 7:2", "2033-12-31", 3, ["email"]),
        ("BFL 7:2", "2041-12-31", 2, ["email"]),
    ]
    assert json.loads(document(certificate_of(facts())))["erased"] == "all"


UNPROVEN: dict[str, dict[str, object]] = {
    "more is kept than was said": {"after": (reading(0, kept=6),)},
    "less is kept than was said": {"after": (reading(0, kept=4),)},
    "some for no law": {"retained": (part(3),)},
    "laws for more than there is": {"retained": (part(3), part(3, LATER))},
    "nothing names a law": {"retained": ()},
    "something is left besides": {"after": (reading(1, kept=5),)},
}


@pytest.mark.parametrize("how", UNPROVEN)
def test_no_certificate_where_it_does_not_add_up(how: str) -> None:
    """What is kept has to be just what laws are named for, whatever was decided before."""
    with pytest.raises(NotProvenError):
        retained(**UNPROVEN[how])


def test_symmetry_counts_what_stays() -> None:
    """Of three exported rows one was deleted and two stay: none of them was gone before."""
    kept = (answer().model_copy(update={"deleted": (), "kept": (TableCount(table="users", rows=1),)}),)
    said = json.loads(retained(answers=kept, after=(reading(0, kept=1),), retained=(part(1),)))

    (row,) = said["symmetry"]["tables"]
    assert (row["exported"], row["deleted"], row["retained"], row["gone_before"]) == (1, 0, 1, 0)


def longer(times: int) -> tuple[JournalEntry, ...]:
    """Give the case's journal, gone on for some decisions."""
    first = journal()
    kept = Journal(tuple(Entry(one.at, one.given, one.state, one.events, one.seal) for one in first))
    for _ in range(times):
        kept = noted(kept, CLOSED, "Woke", "surveying", ())
    entries = (
        JournalEntry(at=one.at, given=one.given, state=one.state, events=one.events, seal=one.seal)
        for one in kept.entries
    )
    return tuple(entries)


def amend(first: bytes, number: int = 1, **changed: object) -> Amend:
    continued = ContinuedPart(
        deletion_id="deletion:acme/1",
        certificate="s3://certificates/acme/certificate.json",
        certificate_sha256=hashlib.sha256(first).hexdigest(),
    )
    after: tuple[HolderReading, ...] = (reading(0, kept=2 if number == 1 else 0),)
    told: dict[str, object] = {
        "customer_id": "acme",
        "deletion_id": f"deletion:acme/1:{number + 1}",
        "attempt": 5,
        "number": number,
        "first": continued,
        "answers": (keeping(2) if number == 1 else answer(),),
        "before": (reading(5),),
        "after": after,
        "checked_at": CLOSED,
        "holds": (),
        "approvals": (),
        "gone": (part(3),) if number == 1 else (part(2, LATER),),
        "retained": (part(2, LATER),) if number == 1 else (),
        "journal": longer(number),
    }
    return Amend.model_validate({**told, **changed})


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    make_keys(tmp_path / "keys")
    return tmp_path / "keys"


def laid(folder: Path, keys: Path, **second: object) -> Path:
    """Lay a certificate and two addenda on a desk as they are stored; *second* is what the second one says else."""
    first = retained()
    path = written(folder, keys, first)
    written(folder / "addendum-1", keys, addendum_document(amend(first)), "addendum.json")
    written(folder / "addendum-2", keys, addendum_document(amend(first, 2, **second)), "addendum.json")
    return path


def test_addenda_are_checked_with_the_certificate(tmp_path: Path, keys: Path) -> None:
    """All of them are good, whichever one asks for; the last says that all is gone."""
    first = laid(tmp_path / "desk", keys)
    whole = verify(first, keys)
    alone = verify(first.parent / "addendum-2" / "addendum.json", keys)

    assert isinstance(whole, First)
    assert (whole.retained, [one.retained for one in whole.addenda]) == (5, [2, 0])
    assert isinstance(alone, Addition)
    assert whole.addenda[1] == alone
    assert alone.first_sha256 == whole.sha256
    told = verified(first).output
    assert "by the last of 2 good addenda all of them are gone" in told


def altered(folder: Path, keys: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Lay them out with the second addendum changed and signed anew, as only whoever has the keys could."""
    first = laid(folder, keys)
    path = folder / "addendum-2" / "addendum.json"
    said = json.loads(path.read_bytes())
    change(said)
    shutil.rmtree(path.parent)
    written(path.parent, keys, json.dumps(said).encode(), "addendum.json")
    return first


WRONG: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "of another certificate": (lambda said: said.update(first_sha256="0" * 64), "first certificate"),
    "of another deletion": (lambda said: said.update(first_deletion_id="d-9"), "first certificate"),
    "rows are in neither list": (lambda said: said.update(gone=[]), "addendum"),
    "another number": (lambda said: said.update(number=3), "addendum"),
    "says all, and lists some": (lambda said: said.update(retained=[part().model_dump(mode="json")]), "content"),
    "something was left": (lambda said: said["validation"]["holders"][0]["tables"][0].update(left=1), "content"),
    "something was kept": (lambda said: said["validation"]["holders"][0]["tables"][0].update(kept=1), "content"),
    "a decision taken out": (lambda said: said["journal"].pop(1), "journal"),
}


@pytest.mark.parametrize("how", WRONG)
def test_a_wrong_addendum_is_refused(tmp_path: Path, keys: Path, how: str) -> None:
    """The first link that doesn't hold is named, though the signatures do."""
    change, link = WRONG[how]
    with pytest.raises(BadCertificateError) as refused:
        verify(altered(tmp_path / "desk", keys, change))

    assert refused.value.link == link


def test_a_journal_that_does_not_go_on_is_refused(tmp_path: Path, keys: Path) -> None:
    """A whole chain of another case is no continuation of the certificate's."""
    other = noted(Journal(), CLOSED, "ContractTerminated", "window", ())
    entries = tuple(
        JournalEntry(at=one.at, given=one.given, state=one.state, events=one.events, seal=one.seal)
        for one in other.entries
    )
    with pytest.raises(BadCertificateError, match="go on"):
        verify(laid(tmp_path / "desk", keys, journal=entries))


def test_a_missing_addendum_is_named(tmp_path: Path, keys: Path) -> None:
    """The second one without the first shows that something is missing."""
    first = laid(tmp_path / "desk", keys)
    shutil.rmtree(first.parent / "addendum-1")

    with pytest.raises(BadCertificateError, match="number 1 isn't there"):
        verify(first)


def test_a_certificate_that_hides_what_is_kept_is_refused(tmp_path: Path, keys: Path) -> None:
    """One that says that all is erased, and shows kept rows, contradicts itself."""
    said = json.loads(retained())
    said.update(erased="all", retained=[])

    with pytest.raises(BadCertificateError, match="something was left"):
        verify(written(tmp_path / "desk", keys, json.dumps(said).encode()))


def test_it_has_no_room_for_a_person_and_a_word_for_each_field() -> None:
    """As in the certificate, every field is an id, a code, a count, a digest or a moment; the paper names each."""
    assert list(foreign(Addendum)) == []
    assert {*Addendum.model_fields} - FIELDS.keys() == {"format"}


def test_no_addendum_where_something_is_left() -> None:
    """What the facts don't show isn't said."""
    with pytest.raises(NotProvenError):
        addendum_of(amend(retained(), after=(reading(1, kept=2),)))


def test_the_documented_commands_find_it_good_and_another_not(tmp_path: Path, keys: Path) -> None:
    """What docs/certificate.md and VERIFY.txt tell a stranger to paste."""
    text = (Path(__file__).parents[2] / "docs" / "certificate.md").read_text()
    commands = [line.strip() for line in text.splitlines() if line.startswith("    ") and "addendum-1" in line]
    assert len(commands) == 2
    first = laid(tmp_path / "desk", keys)

    def run(command: str, folder: Path = first.parent) -> int:
        return subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, check=False).returncode

    assert [run(one) for one in commands] == [0, 0]
    asked = Asked("0" * 64, "k", "20270101Z", "addendum.json", "addendum.pdf", CLOSED)
    (pasted,) = re.findall(r"^   (echo .*first_sha256.*)$", verify_text(asked).decode(), re.MULTILINE)
    assert run(pasted, first.parent / "addendum-1") == 0
    first.write_bytes(retained(checked_at=LEFT))
    assert run(pasted, first.parent / "addendum-1") == 1
    assert run(commands[0]) == 1
