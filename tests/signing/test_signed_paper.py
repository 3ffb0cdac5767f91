"""A PDF's own signature holds before pyHanko, poppler and openssl, covers all of it, and keeps it a PDF/A."""

from __future__ import annotations

import asyncio
import io
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pypdf import PdfReader
from typst import Compiler

from shared.clock import system_clock
from shared.signing import paperkeys
from shared.signing.keys import KeysError, local_keys, make_keys, make_keys_for_pdf, rotate_keys
from shared.signing.paper import PaperError, TimestampMissingError, check_paper, sign_paper
from shared.signing.paperkeys import AUTHORITY_KEY, PAPER_FILES, PAPER_KEY, ROOTS, PaperKeys, PaperKeysError
from shared.signing.sshsig import ARCHIVE
from tests.timestamps import Authority, timestamp_authority

SHA256 = "5" * 64
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
needs_pdfsig = pytest.mark.skipif(shutil.which("pdfsig") is None, reason="needs pdfsig of poppler-utils")


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Set a tagged PDF/A without a signature."""
    source = tmp_path_factory.mktemp("typst") / "paper.typ"
    source.write_text('#set document(title: "Paper")\n#title()\nText.')
    return bytes(Compiler(str(source)).compile(format="pdf", pdf_standards=["a-2a", "ua-1"]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_keys(tmp_path / "keys")
    return tmp_path / "keys"


@pytest.fixture
def authority(tmp_path: Path, folder: Path) -> Iterator[Authority]:
    with timestamp_authority(tmp_path / "tsa") as made:
        (folder / paperkeys.TIMESTAMP_ROOTS).write_bytes(made.root)
        yield made


def signed(plain: bytes, folder: Path, ahead: timedelta = timedelta(0), authority: str | None = None) -> bytes:
    now = system_clock() + ahead
    return asyncio.run(sign_paper(plain, PaperKeys.load(folder), "certificate.json", SHA256, now, authority))


def accepted(body: bytes, folder: Path) -> bool:
    keys = PaperKeys.load(folder)
    try:
        check_paper(body, keys.roots, keys.timestamp_roots, system_clock())
    except PaperError:
        return False
    return True


def ranges(body: bytes) -> tuple[int, int]:
    """Tell from where to where the signature itself lies in the paper."""
    start, end = body.rsplit(b"/ByteRange [0 ", 1)[1].split(b"]")[0].split()[:2]
    return int(start), int(end)


def openssl_accepts(body: bytes, roots: Path, desk: Path) -> bool:
    """Take the signature out by its byte range, and ask openssl for it."""
    start, end = ranges(body)
    (desk / "signed").write_bytes(body[:start] + body[end:])
    (desk / "sig").write_bytes(bytes.fromhex(body[start + 1 : end - 1].decode()))
    command = f"openssl cms -verify -binary -inform DER -in sig -content signed -purpose any -out out -CAfile {roots}"
    return subprocess.run(command, shell=True, cwd=desk, capture_output=True).returncode == 0


def test_it_says_of_what_it_is_a_reading(plain: bytes, folder: Path) -> None:
    """The signature names the digest of the file whose reading the paper is, and when it was made."""
    body, keys = signed(plain, folder), PaperKeys.load(folder)
    found = check_paper(body, keys.roots, b"", system_clock())

    assert (found.sha256, found.stamped_at) == (SHA256, None)
    assert abs(found.signed_at - system_clock()) < timedelta(minutes=1)


@needs_openssl
@needs_pdfsig
def test_stock_tools_agree(plain: bytes, folder: Path, tmp_path: Path) -> None:
    """Poppler and openssl accept it, openssl by the published root alone; altered in one byte neither does."""
    body = signed(plain, folder)
    at = body.index(b"/Producer") + 12
    altered = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]

    for paper, good in ((body, True), (altered, False)):
        (tmp_path / "paper.pdf").write_bytes(paper)
        told = subprocess.run(["pdfsig", "-nocert", "paper.pdf"], cwd=tmp_path, capture_output=True, text=True).stdout
        assert ("Signature is Valid" in told and "Total document signed" in told) is good
        assert openssl_accepts(paper, folder / ROOTS, tmp_path) is good
        assert accepted(paper, folder) is good


def test_the_signature_keeps_it_archival(plain: bytes, folder: Path) -> None:
    """PDF/A-2a and PDF/UA-1 are claimed as before, the tags are there, and what was there is untouched."""
    body = signed(plain, folder)
    catalogue = PdfReader(io.BytesIO(body)).trailer["/Root"]
    claims = catalogue["/Metadata"].get_object().get_data().decode()
    field = catalogue["/AcroForm"]["/Fields"][0].get_object()

    assert body.startswith(plain)
    # Each object begins on a line of its own (ISO 19005-2, 6.1.9), the increment's first one too.
    assert body[len(plain) : len(plain) + 1] == b"\n"
    assert catalogue["/MarkInfo"]["/Marked"]
    assert "/StructTreeRoot" in catalogue
    for name, value in (("pdfaid:part", "2"), ("pdfaid:conformance", "A"), ("pdfuaid:part", "1")):
        assert f"{name}>{value}<" in claims or f'{name}="{value}"' in claims
    # Printed and not hidden (6.3.2); without extent, it needs no appearance (6.3.3).
    assert (field["/F"] & 4, field["/F"] & 2, list(field["/Rect"])) == (4, 0, [0, 0, 0, 0])


def test_a_signature_covers_all_of_it(plain: bytes, folder: Path) -> None:
    """One byte changed anywhere outside of the signature itself, something appended, or none: it is refused."""
    body = signed(plain, folder)
    start, end = ranges(body)
    inside = [at for at in range(10, len(body), 97) if not start <= at < end]
    flipped = [body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :] for at in inside]

    assert not [at for at, one in zip(inside, flipped, strict=True) if accepted(one, folder)]
    assert not accepted(body + b"\n% more\n", folder)
    assert not accepted(plain, folder)
    keys = PaperKeys.load(folder)
    with pytest.raises(ValueError, match="filled already"):
        asyncio.run(sign_paper(body, keys, "certificate.json", SHA256, system_clock(), None))


def test_what_is_wrong_is_said(plain: bytes, folder: Path, tmp_path: Path) -> None:
    """An unsigned paper, an altered one and one by unknown keys are told apart."""
    make_keys(tmp_path / "forger")
    body, roots = signed(plain, folder), PaperKeys.load(folder).roots
    altered = body.replace(b"/Producer", b"/Producen", 1)
    for paper, says in (
        (plain, "has 0 signatures"),
        (altered, "was altered after it was signed"),
        (signed(plain, tmp_path / "forger"), "none of the published roots"),
    ):
        with pytest.raises(PaperError, match=says):
            check_paper(paper, roots, b"", system_clock())


def test_hostile_papers_are_refused_in_a_sentence(folder: Path, plain: bytes) -> None:
    """What is no PDF, or one that is built to break its reader, can't be checked, and that is said."""
    body = signed(plain, folder)
    for junk in (b"", b"%PDF-1.7", b"%PDF-1.7\n" + b"[" * 100_000, body[:5000], body.replace(b"ETSI", b"ADBE")):
        with pytest.raises(PaperError):
            check_paper(junk, PaperKeys.load(folder).roots, b"", system_clock())


def test_a_forger_s_root_is_none_of_ours(plain: bytes, folder: Path, tmp_path: Path) -> None:
    """A paper signed by keys that somebody else made agrees with itself, and not with the published roots."""
    make_keys(tmp_path / "forger")
    forged = signed(plain, tmp_path / "forger")

    assert accepted(forged, tmp_path / "forger")
    assert not accepted(forged, folder)


@needs_openssl
def test_a_rotated_key_counts_up_to_its_end(plain: bytes, folder: Path, tmp_path: Path) -> None:
    """What it signed before still checks; what it signs for a later moment doesn't, for us and for openssl."""
    old = PaperKeys.load(folder)
    before = signed(plain, folder)
    rotate_keys(folder, system_clock())
    after = signed(plain, folder)
    late = asyncio.run(sign_paper(plain, old, "certificate.json", SHA256, system_clock() + timedelta(hours=1), None))

    assert (accepted(before, folder), accepted(after, folder), accepted(late, folder)) == (True, True, False)
    assert openssl_accepts(before, folder / ROOTS, tmp_path)
    rotate_keys(folder, system_clock() - timedelta(hours=1))
    assert not openssl_accepts(after, folder / ROOTS, tmp_path)
    assert not accepted(after, folder)


def test_a_rotation_that_was_cut_off_is_done_again(plain: bytes, folder: Path) -> None:
    """Cut off before the new keys were there, it is repeated later, and the old root keeps its first end."""
    old = {name: (folder / name).read_bytes() for name in (PAPER_KEY, AUTHORITY_KEY, paperkeys.CERTIFICATE)}
    rotate_keys(folder, system_clock() - timedelta(days=1))
    for name, content in old.items():
        (folder / name).write_bytes(content)
    late = signed(plain, folder)
    rotate_keys(folder, system_clock())

    assert not accepted(late, folder)
    assert accepted(signed(plain, folder), folder)


def test_a_paper_is_no_older_than_what_it_is_of(plain: bytes, folder: Path) -> None:
    """A signature from before the moment that the certificate names is a contradiction."""
    body, keys = signed(plain, folder), PaperKeys.load(folder)

    with pytest.raises(PaperError, match="before the moment that it names"):
        check_paper(body, keys.roots, b"", system_clock() + timedelta(hours=1))


@needs_openssl
def test_a_third_party_says_when(plain: bytes, folder: Path, authority: Authority) -> None:
    """With an authority the signature has its timestamp, asked for once; only its own roots make that count."""
    body, keys = signed(plain, folder, authority=authority.url), PaperKeys.load(folder)
    found = check_paper(body, keys.roots, keys.timestamp_roots, system_clock())

    assert len(authority.asked) == 1
    assert found.stamped_at is not None
    assert abs(found.stamped_at - system_clock()) < timedelta(minutes=1)
    assert check_paper(body, keys.roots, b"", system_clock()).stamped_at is None
    with pytest.raises(PaperError, match="trusted authority"):
        check_paper(body, keys.roots, keys.roots, system_clock())
    earlier = signed(plain, folder, -timedelta(days=2), authority.url)
    with pytest.raises(PaperError, match="says that it was signed at"):
        check_paper(earlier, keys.roots, keys.timestamp_roots, system_clock() - timedelta(days=3))


@needs_openssl
def test_nobody_backdates_what_is_stamped(plain: bytes, folder: Path, authority: Authority) -> None:
    """A stolen key that was rotated out signs for an earlier moment: the timestamp tells."""
    stolen = PaperKeys.load(folder)
    rotate_keys(folder, system_clock() - timedelta(days=30))
    earlier = system_clock() - timedelta(days=60)
    keys = PaperKeys.load(folder)
    forged = asyncio.run(sign_paper(plain, stolen, "certificate.json", SHA256, earlier, authority.url))
    unstamped = asyncio.run(sign_paper(plain, stolen, "certificate.json", SHA256, earlier, None))

    with pytest.raises(PaperError, match="none of the published roots"):
        check_paper(forged, keys.roots, keys.timestamp_roots, earlier)
    # Without a timestamp nobody could tell; so that is said of it.
    assert check_paper(unstamped, keys.roots, keys.timestamp_roots, earlier).stamped_at is None


@needs_openssl
def test_an_authority_that_is_away_is_waited_for(plain: bytes, folder: Path, authority: Authority) -> None:
    """What was to be stamped is never signed without: no answer, a refusal and no server at all are said."""
    authority.answers = False
    with pytest.raises(TimestampMissingError, match=authority.url):
        signed(plain, folder, authority=authority.url)
    with pytest.raises(TimestampMissingError, match="set no timestamp"):
        signed(plain, folder, authority="http://127.0.0.1:9/")


def test_only_the_owner_reads_the_key(folder: Path) -> None:
    """Both private keys are for their owner alone, and one that everybody reads signs nothing."""
    assert [(folder / name).stat().st_mode & 0o777 for name in (PAPER_KEY, AUTHORITY_KEY)] == [0o600, 0o600]
    (folder / PAPER_KEY).chmod(0o644)
    with pytest.raises(PaperKeysError, match="chmod 600"):
        PaperKeys.load(folder)


def test_keys_from_before_there_were_papers_get_theirs(folder: Path, tmp_path: Path) -> None:
    """Missing, it is said how to make them; a person makes them, or the local stack, and nothing else changes."""
    before = {one.name: one.read_bytes() for one in folder.iterdir() if one.name not in PAPER_FILES}
    for made in (lambda: make_keys_for_pdf(folder), lambda: local_keys(folder, environ={})):
        for name in PAPER_FILES:
            (folder / name).unlink()
        with pytest.raises(PaperKeysError, match="offramp keys make --pdf"):
            PaperKeys.load(folder)
        made()
        PaperKeys.load(folder)
    with pytest.raises(KeysError, match="never overwritten"):
        make_keys_for_pdf(folder)
    assert before == {one.name: one.read_bytes() for one in folder.iterdir() if one.name not in PAPER_FILES}
    make_keys(tmp_path / "archives", ARCHIVE)
    assert not any((tmp_path / "archives" / name).exists() for name in PAPER_FILES)


def test_files_that_do_not_belong_together_are_named(folder: Path, tmp_path: Path) -> None:
    """A certificate of another key, and one for which no root vouches, are refused before anything is signed."""
    make_keys(tmp_path / "other")
    for name, says in ((paperkeys.CERTIFICATE, "is of another key"), (ROOTS, "vouches for no certificate")):
        own = (folder / name).read_bytes()
        (folder / name).write_bytes((tmp_path / "other" / name).read_bytes())
        with pytest.raises(PaperKeysError, match=says):
            PaperKeys.load(folder)
        (folder / name).write_bytes(own)


def test_a_rotation_leaves_another_authority_alone(folder: Path) -> None:
    """Where the certificate came from elsewhere, its key and roots stay as they are."""
    (folder / AUTHORITY_KEY).unlink()
    before = PaperKeys.load(folder)
    rotate_keys(folder, system_clock())

    assert PaperKeys.load(folder) == before
