"""A stored certificate is checked without any tool: true ones pass, and whatever was altered is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from retention_facts import CLOSED, facts, journal

from services.retention.certificate import certificate_of, document
from services.retention.tasks import CopyToExpire, Upgrade
from services.retention.upgrade import second_document
from shared.signing.keys import make_keys, rotate_keys
from shared.signing.signer import Signer
from shared.verify.certificate import verify, verify_certificate
from shared.verify.faults import BadCertificateError
from shared.verify.verdicts import First, Second
from tests.loaded import loaded_by
from tests.verified import verified

FILES = ("certificate.json", "certificate.json.sshsig", "certificate.json.sig", "allowed_signers", "signing.pub.pem")


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    make_keys(tmp_path / "keys")
    return tmp_path / "keys"


@pytest.fixture
def stored(tmp_path: Path, keys: Path) -> Path:
    return written(tmp_path / "desk", keys, document(certificate_of(facts())))


def written(folder: Path, keys: Path, data: bytes, name: str = "certificate.json") -> Path:
    signer = Signer.load(keys)
    signed = signer.sign(data, CLOSED)
    folder.mkdir()
    bodies = (data, signed.sshsig, signed.ecdsa, signer.allowed_signers, signer.public_pem)
    for file, body in zip(FILES, bodies, strict=True):
        (folder / file.replace("certificate.json", name)).write_bytes(body)
    return folder / name


def test_a_true_certificate_passes(stored: Path, keys: Path) -> None:
    """A certificate as stored is good; only with keys that came another way is it trusted, too."""
    verdict = verify_certificate(stored)

    assert (verdict.customer_id, verdict.deletion_id, verdict.rows_deleted) == ("acme", "deletion:acme/1", 2)
    assert verdict.sha256 == hashlib.sha256(stored.read_bytes()).hexdigest()
    assert not verdict.trusted
    assert verify_certificate(stored, keys).trusted


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_in_any_file_is_refused(stored: Path, name: str) -> None:
    """One bit flipped in the middle of any of the five files, and the certificate is refused."""
    file = stored.with_name(name)
    body = bytearray(file.read_bytes())
    body[len(body) // 2] ^= 1
    file.write_bytes(body)

    with pytest.raises(BadCertificateError):
        verify_certificate(stored)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(stored: Path, name: str) -> None:
    """Without one of its files a certificate can't be checked, and the file is named."""
    stored.with_name(name).unlink()

    with pytest.raises(BadCertificateError, match=name):
        verify_certificate(stored)


def test_a_forgery_fails_against_the_published_keys(tmp_path: Path, keys: Path) -> None:
    """A certificate forged with keys of its own agrees with itself, and fails against the published keys."""
    make_keys(tmp_path / "forger")
    forged = written(tmp_path / "forged", tmp_path / "forger", document(certificate_of(facts())))

    assert not verify_certificate(forged).trusted
    with pytest.raises(BadCertificateError, match="none of the keys"):
        verify_certificate(forged, keys)


def test_old_certificates_pass_after_rotations(stored: Path, keys: Path) -> None:
    """After two rotations the published keys still tell an old certificate to be true."""
    rotate_keys(keys, CLOSED + timedelta(days=1))
    rotate_keys(keys, CLOSED + timedelta(days=2))

    assert verify_certificate(stored, keys).trusted


def test_what_an_old_key_signs_after_its_end_is_refused(tmp_path: Path, keys: Path) -> None:
    """Whoever kept a key that was rotated out can't make certificates of what happened after its end."""
    copytree(keys, tmp_path / "kept")
    rotate_keys(keys, CLOSED)
    late = written(tmp_path / "late", tmp_path / "kept", document(certificate_of(facts())))

    with pytest.raises(BadCertificateError, match="does not count for 20261031000000Z") as refused:
        verify_certificate(late, keys)
    assert refused.value.link == "signature"


Said = dict[str, Any]


def altered(folder: Path, keys: Path, change: Callable[[Said], object]) -> Path:
    """Give a certificate of other content, signed by the true keys: as if who issues them had been made to."""
    said = json.loads(document(certificate_of(facts())))
    change(said)
    return written(folder, keys, json.dumps(said).encode())


JOURNAL: dict[str, tuple[Callable[[Said], object], str]] = {
    "another decision": (lambda said: said["journal"][0].update(given="Woke"), "breaks at entry 1 of 2"),
    "another moment": (lambda said: said["journal"][1].update(at="2026-10-30T21:00:00Z"), "breaks at entry 2 of 2"),
    "one event less": (lambda said: said["journal"][1]["events"].clear(), "breaks at entry 2 of 2"),
    "the first taken out": (lambda said: said["journal"].pop(0), "breaks at entry 1 of 1"),
    "the last taken out": (lambda said: said["journal"].pop(), "journal_head is not the seal of entry 1"),
    "all taken out": (lambda said: said["journal"].clear(), "has no entry"),
    "two exchanged": (lambda said: said["journal"].reverse(), "breaks at entry 1 of 2"),
    "another head": (lambda said: said.update(journal_head="0" * 64), "journal_head is not"),
}


@pytest.mark.parametrize("name", JOURNAL)
def test_the_first_broken_link_of_the_journal_is_named(tmp_path: Path, keys: Path, name: str) -> None:
    """Though the signatures hold, the entry at which the chain breaks is named."""
    change, says = JOURNAL[name]

    with pytest.raises(BadCertificateError, match=says) as refused:
        verify_certificate(altered(tmp_path / "desk", keys, change))
    assert refused.value.link == "journal"


def holder(said: Said) -> Said:
    (one,) = said["holders"]
    assert isinstance(one, dict)
    return one


CONTRADICTIONS: dict[str, tuple[Callable[[Said], object], str]] = {
    "the holder itself found rows": (
        lambda said: holder(said)["verification"]["remaining"][0].update(rows=3),
        "something was left: platform-database users",
    ),
    "nobody looked": (
        lambda said: said["validation"]["holders"].clear(),
        "platform-database that it answered, and not",
    ),
    "somewhere else": (
        lambda said: said["validation"]["holders"][0].update(holder="archive"),
        "platform-database that it answered, and not",
    ),
    "no table was read": (lambda said: said["validation"]["holders"][0]["tables"].clear(), "not that anybody looked"),
    "nobody answered": (lambda said: said["holders"].clear(), "names no holder"),
    "more rows in all": (lambda said: said.update(rows_deleted=3), r"rows_deleted: 3, and of its holders -1 of that"),
    "fewer at the holder": (lambda said: holder(said)["deleted"].clear(), "rows_deleted: 2"),
    "a hold in force": (
        lambda said: said["holds"][0].update(released_at=None, ended_at=None),
        "a legal hold was in force: ",
    ),
    "a hold placed after its release": (
        lambda said: said["holds"][0].update(placed_at="2027-01-01T00:00:00Z", ended_at=None),
        "a legal hold was in force: ",
    ),
    "told to another": (lambda said: said["informed"][0].update(customer_id="other"), "evidence of other"),
    "confirmed by another": (lambda said: said["confirmed"][0].update(customer_id="other"), "evidence of other"),
    "told to nobody": (lambda said: said["informed"].clear(), "says customer_informed, which its evidence contradicts"),
    "confirmed nothing": (lambda said: said["confirmed"].clear(), "says export_confirmed, which its evidence"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_what_contradicts_itself_is_refused(tmp_path: Path, keys: Path, name: str) -> None:
    """Though the signatures hold: what no certificate is made of is no certificate to whoever checks one either."""
    change, says = CONTRADICTIONS[name]

    with pytest.raises(BadCertificateError, match=says) as refused:
        verify_certificate(altered(tmp_path / "desk", keys, change))
    assert refused.value.link == "content"


def test_whatever_stands_in_any_field_gets_a_sentence(tmp_path: Path, keys: Path) -> None:
    """Each field of a signed paper in turn is another thing: it passes, or it is refused without a trace."""
    odd = [None, -1, 1.5, "", [], {}, [None], True, "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "\ud800"]
    said = json.loads(document(certificate_of(facts(copies=(DUMPS,)))))
    signer, desk = Signer.load(keys), altered(tmp_path / "desk", keys, lambda _: None)
    for place in [place for place in places(said) if place[0] != "about"]:
        for value in odd:
            paper = json.loads(json.dumps(said))
            parent = paper
            for step in place[:-1]:
                parent = parent[step]
            parent[place[-1]] = value
            data = json.dumps(paper).encode()
            signed = signer.sign(data, CLOSED)
            for file, body in zip(FILES, (data, signed.sshsig, signed.ecdsa), strict=False):
                desk.with_name(file).write_bytes(body)
            # What is refused says why; anything else that is raised fails the test.
            with suppress(BadCertificateError):
                verify(desk)


def places(said: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    steps = said.items() if isinstance(said, dict) else enumerate(said) if isinstance(said, list) else ()
    for step, below in steps:
        yield (*above, step)
        yield from places(below, (*above, step))


def test_a_terminal_is_told_nothing_by_a_paper(tmp_path: Path, keys: Path) -> None:
    """Control characters in a forged paper's names neither reach the terminal nor hide that nobody trusts its keys."""
    hidden = "acme\x1b[2K\rsigned by us"
    named = altered(tmp_path / "named", keys, lambda said: said.update(deletion_id=hidden))
    quoted = altered(tmp_path / "quoted", keys, lambda said: said["journal"][0].update(given=hidden))
    for paper in (named, quoted):
        with pytest.raises(BadCertificateError) as refused:
            verify(paper)
        assert str(refused.value).isprintable()


@pytest.mark.parametrize("name", ["addendum-²", "addendum-01", "addendum-x"])
def test_a_folder_that_is_no_addendum_s_is_none(stored: Path, name: str) -> None:
    """What the service never calls a folder is no addendum that something is missing before."""
    (stored.parent / name).mkdir()

    assert verify_certificate(stored).addenda == ()


def test_a_true_journal_is_told(stored: Path) -> None:
    """The verdict tells how many decisions there were, and the seal that stands for all of them."""
    verdict = verify_certificate(stored)

    assert (verdict.journal_entries, verdict.journal_head) == (2, journal()[-1].seal)


DUMPS = CopyToExpire(copy_name="dumps", of="platform-database", expires_at=CLOSED + timedelta(days=30))


def two_stages(folder: Path, keys: Path, **changed: object) -> tuple[Path, Path]:
    """Give both certificates of a deletion as the service stores them; *changed* is what the second one says."""
    first = written(folder, keys, document(certificate_of(facts(copies=(DUMPS,)))))
    task: dict[str, object] = {
        "customer_id": "acme",
        "deletion_id": "deletion:acme/1",
        "attempt": 1,
        "certificate": "s3://certificates/acme/certificate.json",
        "certificate_sha256": hashlib.sha256(first.read_bytes()).hexdigest(),
        "copies": (DUMPS,),
    }
    paper = second_document(Upgrade.model_validate({**task, **changed}))
    return first, written(folder / "upgrade", keys, paper, "upgrade.json")


def test_the_second_stage_is_checked_against_the_first(tmp_path: Path, keys: Path) -> None:
    """Both are good, whichever one asks for, and the second names the first."""
    first, second = two_stages(tmp_path / "desk", keys)

    whole, alone = verify(first, keys), verify(second, keys)
    assert isinstance(whole, First)
    assert whole.second == alone
    assert isinstance(alone, Second)
    assert (alone.first_sha256, alone.copies_expired) == (whole.sha256, 1)
    assert verify(second, keys, first) == alone


def test_a_first_certificate_alone_has_no_second(stored: Path) -> None:
    """Nothing is said of a second stage that isn't there."""
    verdict = verify(stored)

    assert isinstance(verdict, First)
    assert (verdict.stage, verdict.second) == ("full", None)


OTHERS: dict[str, tuple[dict[str, object], str, str]] = {
    "another first": ({"certificate_sha256": "0" * 64}, "first certificate", "but .*certificate.json has"),
    "another customer": ({"customer_id": "other"}, "first certificate", "is of .*other"),
    "another deletion": ({"deletion_id": "deletion:acme/2"}, "first certificate", "is of .*acme/2"),
    "no copies": ({"copies": (DUMPS.model_copy(update={"copy_name": "tapes"}),)}, "copies", "names other copies"),
    "expired sooner": ({"copies": (DUMPS.model_copy(update={"expires_at": CLOSED}),)}, "copies", "names other copies"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_second_certificate_to_another_first_is_refused(tmp_path: Path, keys: Path, name: str) -> None:
    """The first link that doesn't hold is named, whether one checks the first or the second."""
    changed, link, says = OTHERS[name]
    for paper in two_stages(tmp_path / "desk", keys, **changed):
        with pytest.raises(BadCertificateError, match=says) as refused:
            verify(paper)
        assert refused.value.link == link


def test_a_second_certificate_stands_on_a_good_first(tmp_path: Path, keys: Path) -> None:
    """The first one's signatures are checked too, and one that is missing is named."""
    first, second = two_stages(tmp_path / "desk", keys)
    first.with_name("certificate.json.sig").write_bytes(second.with_name("upgrade.json.sig").read_bytes())
    with pytest.raises(BadCertificateError, match=r"desk/certificate\.json can't be trusted: the ECDSA"):
        verify(second)
    first.unlink()
    with pytest.raises(BadCertificateError, match=r"certificate\.json can't be read"):
        verify(second)


def test_the_command_tells_people_and_machines(tmp_path: Path, keys: Path) -> None:
    """Exit 0 and what was found; else 1, and with --json which link of the chain is broken."""
    first, second = two_stages(tmp_path / "desk", keys)
    told = verified(first.parent, "--keys", keys)
    asked = verified(second, "--json")
    other = verified(second, "--sha256", "0" * 64)
    (second.parent / "upgrade.json.sshsig").unlink()
    broken = verified(first, "--json")

    assert told.exit_code == 0, told.output
    assert "2 decisions, each sealed with the one before" in told.stdout
    assert "its second certificate is good, too: 1 further copies have expired" in told.stdout
    assert (asked.exit_code, json.loads(asked.stdout)["findings"]) == (0, [])
    assert "announced was 000" in str(other.exception)
    (finding,) = json.loads(broken.stdout)["findings"]
    assert (broken.exit_code, finding["link"]) == (1, "file")
    assert finding["path"].endswith("upgrade/upgrade.json.sshsig")


def test_hostile_papers_are_refused_in_a_sentence(tmp_path: Path, keys: Path) -> None:
    """What is no certificate at all, however it is built, is said to be none."""
    bodies = [b"", b"\xff", b"[]", b'"x"', b"[" * 100_000, b'{"format": []}', b'{"format": "offramp-certificate/1"}']
    bodies += [b'{"format": "offramp-upgrade/1", "expired": []}', b'{"format": "offramp-upgrade/1", "expired": [1]}']
    for number, body in enumerate(bodies):
        with pytest.raises(BadCertificateError):
            verify(written(tmp_path / f"{number}", keys, body))


def test_a_signed_paper_that_is_no_certificate_is_refused(tmp_path: Path, keys: Path) -> None:
    """What is signed but says that something was left, or is of another format, is no certificate."""
    data = document(certificate_of(facts()))
    left = written(tmp_path / "left", keys, data.replace(b'"left": 0', b'"left": 1'))
    letter = written(tmp_path / "letter", keys, b'{"format": "offramp-certificate/1"}')
    other = written(tmp_path / "other", keys, data.replace(b"offramp-certificate/1", b"offramp-certificate/2"))

    with pytest.raises(BadCertificateError, match="something was left"):
        verify_certificate(left)
    with pytest.raises(BadCertificateError, match="newer offramp"):
        verify_certificate(other)
    with pytest.raises(BadCertificateError, match="no certificate"):
        verify_certificate(letter)


def test_nothing_is_loaded_that_a_certificate_does_not_need(stored: Path, tmp_path: Path) -> None:
    """Neither the events' models nor the library of command lines nor, where there is no PDF, what reads one."""
    loaded = loaded_by("verify", str(stored), home=tmp_path)

    assert loaded & {"pydantic", "typer", "rich", "pyhanko", "shared.events", "importlib.metadata"} == set()
    assert "cryptography" in loaded
