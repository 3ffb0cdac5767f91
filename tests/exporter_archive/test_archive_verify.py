"""The verifier names whatever is altered, missing or added."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from archive_school import NOW, opened_school, run

from shared.settings import Settings
from shared.signing.keys import make_keys, rotate_keys
from shared.signing.signer import Signer
from shared.signing.sshsig import ARCHIVE
from shared.verify.archive import (
    PAYLOAD_MANIFEST,
    SECOND_SIGNATURE,
    SIGNATURE,
    TAG_MANIFEST,
    Checker,
    Signature,
    by_stock_tools,
    main,
    verify,
)
from shared.verify.by_library import by_library
from tests.verified import verified

Files = dict[str, bytes]
USERS = "export-1/data/csv/user/users.csv"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the exporter's keys."""
    folder = tmp_path_factory.mktemp("keys")
    make_keys(folder, ARCHIVE)
    return folder


@pytest.fixture(scope="module")
def made(settings: Settings, keys: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Make the archives for all tests here, without the film, which would only take time."""
    signer = Signer.load(keys, ARCHIVE)

    async def make() -> dict[str, bytes]:
        async with opened_school(settings) as school:
            await school.store.delete_all_versions(school.bucket, "media/acme/film")
            signed = (await school.archive(tmp_path_factory.mktemp("made"), signer))[0].read_bytes()
            unsigned = (await school.archive(tmp_path_factory.mktemp("made")))[0].read_bytes()
            await school.run("update users set nickname = 'another' where id = 1")
            later = (await school.archive(tmp_path_factory.mktemp("made"), signer))[0].read_bytes()
            return {"signed": signed, "unsigned": unsigned, "later": later}

    return asyncio.run(make())


@pytest.fixture
def archive(made: dict[str, bytes], tmp_path: Path) -> Path:
    (tmp_path / "export-1.zip").write_bytes(made["signed"])
    return tmp_path / "export-1.zip"


@pytest.fixture
def later(made: dict[str, bytes], tmp_path: Path) -> Path:
    """Another archive of the same name, signed by the same key."""
    (tmp_path / "later.zip").write_bytes(made["later"])
    return tmp_path / "later.zip"


def files_of(archive: Path) -> Files:
    with ZipFile(archive) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def rewritten(archive: Path, change: Callable[[Files], None]) -> Path:
    """Give another archive, changed by somebody with an ordinary ZIP program."""
    files = files_of(archive)
    change(files)
    changed = archive.with_name("changed.zip")
    with ZipFile(changed, "w") as opened:
        for name, body in files.items():
            opened.writestr(name, body)
    return changed


def found(archive: Path, checker: Checker = by_stock_tools) -> set[tuple[str, str]]:
    return {(one.kind, one.path) for one in verify(archive, checker=checker).findings}


def test_an_archive_as_it_was_made_is_whole(archive: Path) -> None:
    """Nothing is wrong with it, and the rows are counted once more."""
    verdict = verify(archive, hashlib.sha256(archive.read_bytes()).hexdigest())

    assert verdict.findings == ()
    assert verdict.rows["csv.notes"] == verdict.rows["json.notes"] == 3
    assert (verdict.customer, verdict.export_id, verdict.snapshot_at) == ("acme", "export-1", "2026-11-22T20:15:00Z")
    assert main([str(archive)]) == 0


def flipped(body: bytes, at: int | None = None) -> bytes:
    at = len(body) // 2 if at is None else at
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


def report(files: Files, change: Callable[[Any], object]) -> None:
    """Change the report of completeness."""
    said = json.loads(files["export-1/data/completeness.json"])
    change(said)
    files["export-1/data/completeness.json"] = json.dumps(said).encode()


def named(files: Files, path: str) -> None:
    """Let the manifest name a file (once more)."""
    files[f"export-1/{PAYLOAD_MANIFEST}"] += f"{'0' * 64}  {path}\n".encode()


CHANGES: dict[str, tuple[Callable[[Files], object], tuple[str, str]]] = {
    "a changed letter": (
        lambda files: files.update({USERS: files[USERS].replace(b"a@acme", b"z@acme")}),
        ("altered", "data/csv/user/users.csv"),
    ),
    "a file taken out": (lambda files: files.pop(USERS), ("missing", "data/csv/user/users.csv")),
    "an object taken out": (
        lambda files: files.pop("export-1/data/media/uploads/Film.mp4"),
        ("missing", "data/media/uploads/Film.mp4"),
    ),
    "a file put in": (lambda files: files.update({"export-1/data/x": b""}), ("added", "data/x")),
    "a tag file put in": (lambda files: files.update({"export-1/x.txt": b""}), ("added", "x.txt")),
    "a flipped bit in the manifest": (
        lambda files: files.update({f"export-1/{PAYLOAD_MANIFEST}": flipped(files[f"export-1/{PAYLOAD_MANIFEST}"])}),
        ("altered", PAYLOAD_MANIFEST),
    ),
    "another name": (
        lambda files: files.update({name.replace("-1/", "-2/"): files.pop(name) for name in list(files)}),
        ("altered", "bag-info.txt"),
    ),
    "a file beside the bag": (lambda files: files.update({"x/data/x": b""}), ("added", "x/data/x")),
    "a way out of the bag": (lambda files: files.update({"export-1/../../x": b""}), ("added", "export-1/../../x")),
    "another declaration": (lambda files: files.update({"export-1/bagit.txt": b"?"}), ("broken", "bagit.txt")),
    "another bag-info": (
        lambda files: files.update({"export-1/bag-info.txt": b"Payload-Oxum: 1.1\n"}),
        ("altered", "bag-info.txt"),
    ),
    "no manifest": (lambda files: files.pop(f"export-1/{PAYLOAD_MANIFEST}"), ("missing", PAYLOAD_MANIFEST)),
    "an unreadable manifest": (
        lambda files: files.update({f"export-1/{PAYLOAD_MANIFEST}": b"?\n"}),
        ("broken", PAYLOAD_MANIFEST),
    ),
    "a line of the manifest twice": (
        lambda files: named(files, USERS.removeprefix("export-1/")),
        ("broken", PAYLOAD_MANIFEST),
    ),
    "a line twice of a file that lacks": (
        lambda files: (named(files, "data/x"), named(files, "data/x")),
        ("broken", PAYLOAD_MANIFEST),
    ),
    "a tag file in the manifest of others": (
        lambda files: named(files, "bagit.txt"),
        ("missing", "bagit.txt"),
    ),
    "no tag manifest": (lambda files: files.pop(f"export-1/{TAG_MANIFEST}"), ("missing", TAG_MANIFEST)),
    "a table forgotten in the report": (
        lambda files: report(files, lambda said: said["tables"][1]["files"].clear()),
        ("missing", "data/completeness.json"),
    ),
    "other rows in the report": (
        lambda files: report(files, lambda said: said["tables"][1].update(rows=3)),
        ("altered", "data/csv/user/users.csv"),
    ),
    "fewer objects in the report": (
        lambda files: report(files, lambda said: said["objects"][0].update(files=1)),
        ("altered", "data/media/"),
    ),
    "a report of other things": (
        lambda files: report(files, lambda said: said.update(objects=["many"])),
        ("broken", "data/completeness.json"),
    ),
    "a report nested too deep": (
        lambda files: files.update({"export-1/data/completeness.json": b"[" * 200_000}),
        ("broken", "data/completeness.json"),
    ),
    "a descriptor nested too deep": (
        lambda files: files.update({"export-1/data/datapackage.json": b"[" * 200_000}),
        ("broken", "data/datapackage.json"),
    ),
    "no report": (lambda files: files.pop("export-1/data/completeness.json"), ("broken", "data/completeness.json")),
    "no descriptor": (lambda files: files.pop("export-1/data/datapackage.json"), ("broken", "data/datapackage.json")),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_is_named(archive: Path, name: str) -> None:
    """Whatever somebody changes, takes out or puts in is named."""
    change, finding = CHANGES[name]

    assert finding in found(rewritten(archive, change))


def unpacked(archive: Path) -> Path:
    with ZipFile(archive) as opened:
        opened.extractall(archive.parent)
    return archive.parent / "export-1"


def test_the_unpacked_archive_is_checked_too(archive: Path) -> None:
    """In a folder the same is found: nothing, a changed letter, a file taken out, one put in, a link."""
    bag = unpacked(archive)

    assert verify(bag).findings == ()
    (bag / "data/csv/user/users.csv").write_bytes(b"id\n")
    (bag / "data/media/uploads/Film.mp4").unlink()
    (bag / "data/x").write_bytes(b"")
    (bag / "data/csv/user/y.csv").symlink_to(bag / "data/csv/user/customers.csv")
    assert {("altered", "data/csv/user/users.csv"), ("missing", "data/media/uploads/Film.mp4"), ("added", "data/x"),
            ("added", "data/csv/user/y.csv")} <= found(bag)  # fmt: skip


def test_a_digest_in_capitals_is_the_same_and_another_word_is_none(archive: Path) -> None:
    """PowerShell prints capitals; a digest that was cut short isn't taken for one of an altered archive."""
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    program = [sys.executable, "-I", "-S", Path(inspect.getfile(verify)), archive]

    assert "0 findings" in run([*program, f" {digest.upper()}\n"], archive.parent)
    assert "is no SHA-256" in run([*program, digest[:40]], archive.parent, check=False)
    told = verified(archive, "--sha256", digest.upper())
    assert (told.exit_code, verified(archive, "--sha256", digest[:40]).exit_code) == (0, 2), told.output


def test_what_cannot_be_read_is_nobodys(tmp_path: Path) -> None:
    """The program inside names the file then, not an archive without a name of nobody."""
    path = tmp_path / "empty.zip"
    path.write_bytes(b"")

    said = run([sys.executable, "-I", "-S", Path(inspect.getfile(verify)), path], tmp_path, check=False)
    assert f"{path}: 1 things are wrong" in said
    assert " of , as of" not in said


def test_the_program_inside_needs_nothing_but_python(archive: Path) -> None:
    """Alone, without site packages, it checks the ZIP, the folder it lies in, and names a changed file."""
    bag = unpacked(archive)
    command = [sys.executable, "-I", "-S", bag / "verify.py"]

    for said in (run([*command, archive], archive.parent), run(command, archive.parent)):
        assert "0 findings" in said
        assert "export-1 of acme, as of 2026-11-22T20:15:00Z: complete, unaltered, signed by SHA256:" in said
    (bag / "data/csv/user/users.csv").write_bytes(b"id\n")
    assert "altered: data/csv/user/users.csv" in run(command, archive.parent, check=False)


def pasted(folder: Path) -> list[int]:
    """Paste the commands of VERIFY.txt into a shell, one by one; gives their exit codes."""
    with ZipFile(folder / "export-1.zip") as opened:
        text = opened.read("export-1/VERIFY.txt").decode()
    commands = re.findall(r"^    (.*)$", text, re.MULTILINE)
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    # S603: the commands are the archive's own.
    done = [subprocess.run(["/bin/sh", "-c", one], cwd=folder, env=environment, check=False) for one in commands]
    return [one.returncode for one in done]


def test_the_commands_find_nothing_wrong_in_a_whole_archive(archive: Path) -> None:
    """Each command of VERIFY.txt, pasted as it stands, ends well."""
    assert pasted(archive.parent) == [0] * 11


def test_the_commands_accept_an_old_archive_by_keys_published_later(archive: Path, keys: Path, tmp_path: Path) -> None:
    """A key that was rotated out long ago still counts for the archive's moment, as VERIFY.txt asks."""
    shutil.copytree(keys, tmp_path / "later")
    rotate_keys(tmp_path / "later", NOW)
    with ZipFile(archive) as opened:
        (command,) = re.findall(r"^    (.*ssh-keygen.*)$", opened.read("export-1/VERIFY.txt").decode(), re.MULTILINE)
    unpacked(archive)

    by_published = command.replace("-f allowed_signers", f"-f {tmp_path}/later/allowed_signers")
    assert subprocess.run(["/bin/sh", "-c", by_published], cwd=tmp_path, check=False).returncode == 0


@pytest.mark.parametrize("name", ["a changed letter", "a file taken out", "a file put in", "a tag file put in"])
def test_the_commands_find_a_change(archive: Path, name: str) -> None:
    """A changed archive makes at least one of the stock tools' commands fail, and the program too."""
    rewritten(archive, CHANGES[name][0]).rename(archive)
    codes = pasted(archive.parent)

    assert any(codes[2:7])
    assert codes[9:] == [1, 1]


def test_the_documented_commands_find_nothing_wrong(archive: Path) -> None:
    """What docs/archive.md tells to paste ends well on a signed archive, and fails on a changed one."""
    said = (Path(__file__).parents[2] / "docs" / "archive.md").read_text()
    (block,) = (one for one in re.findall(r"(?:^    .*\n)+", said, re.MULTILINE) if "frictionless validate" in one)
    script = re.sub(r"^    ", "", block, flags=re.MULTILINE).replace("<export_id>", "export-1")
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "PYTHONWARNINGS": "ignore"}

    def failed() -> int:
        shutil.rmtree(archive.parent / "export-1", ignore_errors=True)
        return subprocess.run(["bash", "-ec", script], cwd=archive.parent, env=environment, check=False).returncode

    assert failed() == 0
    assert "is valid" in run(["bagit.py", "--validate", archive.parent / "export-1"], archive.parent)
    rewritten(archive, forge).rename(archive)
    assert failed()


def test_the_report_tells_what_became_of_everything(archive: Path) -> None:
    """Every table and bucket of the map is in it: exported, empty, or left out with the reason."""
    said = json.loads(files_of(archive)["export-1/data/completeness.json"])

    tables = [(one["table"], one["outcome"], one["rows"], one["columns_left_out"]) for one in said["tables"]]
    assert tables == [
        ("customers", "exported", 1, {}),
        ("users", "exported", 2, {"password_hash": "a secret"}),
        ("notes", "exported", 3, {}),
    ]
    assert said["left_out"] == [{"table": "settings", "outcome": "left out", "reason": "the platform's own"}]
    assert [(one["bucket"], one["outcome"], one["files"]) for one in said["objects"]] == [("uploads", "exported", 8)]


def test_a_row_taken_out_is_missed_even_if_all_sums_are_made_new(archive: Path) -> None:
    """The descriptor knows the rows, so a forger has to change that too."""

    def forge(files: Files) -> None:
        files[USERS] = files[USERS].rsplit(b"\n", 2)[0] + b"\n"
        manifest, digest = f"export-1/{PAYLOAD_MANIFEST}", hashlib.sha256(files[USERS]).hexdigest()
        old = files[manifest].decode()
        files[manifest] = re.sub(r"\w+(?=  data/csv/user/users.csv)", digest, old).encode()

    changed = rewritten(archive, forge)

    assert ("altered", "data/csv/user/users.csv") in found(changed)
    says = [one.says for one in verify(changed).findings]
    assert "it has 1 rows, data/datapackage.json says 2" in says


def test_a_file_that_is_in_the_zip_twice_is_named(archive: Path) -> None:
    """Readers differ in which of the two they take."""
    with pytest.warns(UserWarning, match="Duplicate"), ZipFile(archive, "a") as opened:
        opened.writestr(USERS, "something else")

    assert ("added", USERS) in found(archive)


def test_a_cut_archive_is_broken(archive: Path) -> None:
    """A download that stopped early can't be taken for the whole."""
    whole = archive.read_bytes()
    for share in (0.1, 0.5, 0.999):
        archive.write_bytes(whole[: int(len(whole) * share)])

        assert ("broken", "export-1.zip") in found(archive)


def test_any_flipped_bit_is_found_or_harmless(archive: Path) -> None:
    """Either the verifier finds it, or every file reads as before; the whole digest finds it always."""
    whole, files, chance = archive.read_bytes(), files_of(archive), random.Random(7)
    sha256 = hashlib.sha256(whole).hexdigest()
    for _ in range(300):
        at, bit = chance.randrange(len(whole)), 1 << chance.randrange(8)
        archive.write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])

        verdict = verify(archive, sha256)
        assert verdict.findings[0].says.startswith("its SHA-256 is")
        assert len(verdict.findings) > 1 or files_of(archive) == files, at


def test_the_command_says_so(archive: Path, keys: Path) -> None:
    """Exit 0 for a whole archive, 1 with names for a changed one; options may stand after the file."""
    whole = verified(archive, "--json")
    trusted = verified(archive, "--keys", keys, "--json")
    folder = verified(unpacked(archive))
    changed = verified(rewritten(archive, CHANGES["a changed letter"][0]))
    nowhere = verified(archive, "--keys", archive.parent)

    assert (whole.exit_code, json.loads(whole.stdout)["findings"]) == (0, [])
    assert (folder.exit_code, "compare it with the published one (--keys)" in folder.stdout) == (0, True)
    key_id = Signer.load(keys, ARCHIVE).key_id
    assert json.loads(trusted.stdout)["signature"] == {"state": "signed", "key_id": key_id, "trusted": True, "says": ""}
    assert not json.loads(whole.stdout)["signature"]["trusted"]
    assert changed.exit_code == 1
    assert "altered: data/csv/user/users.csv" in changed.stdout
    assert "allowed_signers can't be read" in str(nowhere.exception)


CHECKERS = pytest.mark.parametrize("checker", [by_stock_tools, by_library], ids=lambda one: one.__name__)
SIGNATURES = (SIGNATURE, SECOND_SIGNATURE)


@CHECKERS
def test_both_ways_of_checking_agree(archive: Path, keys: Path, checker: Checker) -> None:
    """The stock tools and the library accept the same archive by the same key; trusted only with published keys."""
    key_id = Signer.load(keys, ARCHIVE).key_id

    assert verify(archive, checker=checker).signature == Signature("signed", key_id, trusted=False)
    assert verify(archive, keys=keys, checker=checker).signature == Signature("signed", key_id, trusted=True)
    assert verify(unpacked(archive), checker=checker).exit_code == 0


@CHECKERS
@pytest.mark.parametrize("name", SIGNATURES)
def test_a_replaced_or_missing_signature_is_named(archive: Path, later: Path, checker: Checker, name: str) -> None:
    """One flipped bit in a signature, another archive's signature in its place, or none."""
    inside, other = f"export-1/{name}", files_of(later)
    changes: dict[str, Callable[[Files], object]] = {
        "altered": lambda files: files.update({inside: flipped(files[inside])}),
        "replaced": lambda files: files.update({inside: other[inside]}),
        "missing": lambda files: files.pop(inside),
    }
    for kind, change in changes.items():
        verdict = verify(rewritten(archive, change), checker=checker)

        path, kind_found = (name, "missing") if kind == "missing" else (SIGNATURE, "altered")
        assert [(one.kind, one.path) for one in verdict.findings] == [(kind_found, path)]
        assert (verdict.signature.state, verdict.exit_code) == ("wrong", 1)


@CHECKERS
def test_a_manifest_from_another_archive_is_named(archive: Path, later: Path, checker: Checker) -> None:
    """Manifest and signatures of another archive, all true by themselves, don't make this one that one."""
    other = files_of(later)
    taken = {f"export-1/{name}": other[f"export-1/{name}"] for name in (TAG_MANIFEST, *SIGNATURES)}
    assert ("altered", PAYLOAD_MANIFEST) in found(rewritten(archive, lambda files: files.update(taken)), checker)

    taken |= {name: body for name, body in other.items() if "/data/" not in name}
    assert ("altered", "data/csv/user/users.csv") in found(
        rewritten(archive, lambda files: files.update(taken)), checker
    )


def remanifested(files: Files) -> None:
    """Make both manifests anew, as a forger would."""
    for manifest, payload in ((PAYLOAD_MANIFEST, True), (TAG_MANIFEST, False)):
        own = {f"export-1/{name}" for name in (TAG_MANIFEST, *SIGNATURES)}
        named = sorted(name for name in files if name.startswith("export-1/data/") is payload and name not in own)
        lines = (f"{hashlib.sha256(files[name]).hexdigest()}  {name.removeprefix('export-1/')}\n" for name in named)
        files[f"export-1/{manifest}"] = "".join(lines).encode()


def forge(files: Files) -> None:
    """Change a score, and all sums."""
    name = "export-1/data/json/user/customers.jsonl"
    old, new = files[name], files[name].replace(b"Acme", b"Evil")
    files[name] = new
    descriptor = "export-1/data/datapackage.json"
    digests = (hashlib.sha256(one).hexdigest().encode() for one in (old, new))
    files[descriptor] = files[descriptor].replace(*digests)
    remanifested(files)


@CHECKERS
def test_a_forger_who_makes_all_sums_anew_lacks_the_key(
    archive: Path, keys: Path, tmp_path: Path, checker: Checker
) -> None:
    """Every sum agrees, and the signature doesn't; with keys of the forger's own it isn't by the published key."""
    verdict = verify(rewritten(archive, forge), checker=checker)
    assert [(one.kind, one.path) for one in verdict.findings] == [("altered", SIGNATURE)]

    make_keys(tmp_path / "forger", ARCHIVE)
    forger = Signer.load(tmp_path / "forger", ARCHIVE)

    def sign(files: Files) -> None:
        files["export-1/allowed_signers"], files["export-1/signing.pub.pem"] = forger.allowed_signers, forger.public_pem
        files["export-1/bag-info.txt"] = re.sub(rb"SHA256:\S+", forger.key_id.encode(), files["export-1/bag-info.txt"])
        forge(files)
        signed = forger.sign(files[f"export-1/{TAG_MANIFEST}"], NOW)
        files[f"export-1/{SIGNATURE}"], files[f"export-1/{SECOND_SIGNATURE}"] = signed.sshsig, signed.ecdsa

    forged = rewritten(archive, sign)
    assert verify(forged, checker=checker).signature == Signature("signed", forger.key_id, trusted=False)
    assert [(one.kind, one.path) for one in verify(forged, keys=keys, checker=checker).findings] == [
        ("altered", SIGNATURE)
    ]


@CHECKERS
def test_who_says_another_signer_than_signed_is_found(archive: Path, checker: Checker) -> None:
    """bag-info.txt names the key that signed, or it is altered."""

    def rename(files: Files) -> None:
        info = files["export-1/bag-info.txt"]
        files["export-1/bag-info.txt"] = re.sub(rb"SHA256:\S+", b"SHA256:" + b"A" * 43, info)

    assert {("altered", "bag-info.txt"), ("altered", SIGNATURE)} <= found(rewritten(archive, rename), checker)


def strip(files: Files) -> None:
    """Take the signatures out so well that only their absence shows."""
    info = files["export-1/bag-info.txt"]
    files["export-1/bag-info.txt"] = re.sub(rb"Signed-By: .*", b"Signed-By: nobody", info)
    for name in SIGNATURES:
        del files[f"export-1/{name}"]
    forge(files)


@CHECKERS
@pytest.mark.parametrize("stripped", [False, True], ids=["never signed", "stripped of its signatures"])
def test_an_unsigned_archive_is_never_taken_for_a_signed_one(
    archive: Path, made: dict[str, bytes], keys: Path, checker: Checker, *, stripped: bool
) -> None:
    """It is whole, and still not as good as signed: it has an exit code and a word of its own, and fails with keys."""
    if stripped:
        path = rewritten(archive, strip)
    else:
        path = archive
        path.write_bytes(made["unsigned"])

    verdict = verify(path, checker=checker)
    assert (verdict.findings, verdict.signature, verdict.exit_code) == ((), Signature("unsigned"), 3)
    assert "NOT SIGNED" in verdict.told
    assert [(one.kind, one.path) for one in verify(path, keys=keys, checker=checker).findings] == [
        ("missing", SIGNATURE)
    ]


def test_an_unsigned_archive_says_so_everywhere(made: dict[str, bytes], tmp_path: Path, keys: Path) -> None:
    """On the page, in the README, in VERIFY.txt, in bag-info.txt and in the report; a signed one names the key."""
    archive = tmp_path / "export-1.zip"
    archive.write_bytes(made["unsigned"])
    files = files_of(archive)
    said = ("index.html", "data/README.txt", "VERIFY.txt", "bag-info.txt")
    page, readme, steps, info = (files[f"export-1/{name}"].decode() for name in said)
    assert "This archive is not signed" in page
    assert "NOT SIGNED" in readme
    assert "THIS ARCHIVE IS NOT SIGNED" in steps
    assert "Signed-By: nobody\n" in info
    assert json.loads(files["export-1/data/completeness.json"])["signed_by"] is None
    assert main([str(archive)]) == 3
    assert pasted(tmp_path) == [0] * 7 + [3] * 2

    archive.write_bytes(made["signed"])
    files, key_id = files_of(archive), Signer.load(keys, ARCHIVE).key_id
    for name in (*said, "data/completeness.json"):
        assert key_id in files[f"export-1/{name}"].decode(), name


def test_signatures_that_nobody_claims_are_added(archive: Path, made: dict[str, bytes]) -> None:
    """Signatures in an archive that says that nobody signed are named."""
    signed = files_of(archive)
    archive.write_bytes(made["unsigned"])
    put = {f"export-1/{name}": signed[f"export-1/{name}"] for name in SIGNATURES}

    assert found(rewritten(archive, lambda files: files.update(put))) == {("added", name) for name in SIGNATURES}


@pytest.mark.parametrize("missing", ["ssh-keygen", "openssl"])
def test_without_the_tools_nothing_is_called_signed(
    archive: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """Where a tool is missing the verdict says which, and the exit code isn't that of a signed archive."""
    monkeypatch.setattr("shutil.which", lambda name, which=shutil.which: None if name == missing else which(name))
    verdict = verify(archive)

    assert (verdict.signature.state, verdict.exit_code, verdict.findings) == ("unchecked", 3, ())
    assert f"NOT CHECKED: there is no {missing}" in verdict.told


@CHECKERS
def test_old_archives_check_after_a_rotation_and_later_forgeries_do_not(
    archive: Path, keys: Path, tmp_path: Path, checker: Checker
) -> None:
    """By the published keys an old archive is still good, and one of a moment after the key's end isn't."""
    for name, end in (("after", NOW), ("before", NOW - timedelta(days=1))):
        shutil.copytree(keys, tmp_path / name)
        rotate_keys(tmp_path / name, end)

    assert verify(archive, keys=tmp_path / "after", checker=checker).signature.state == "signed"
    (one,) = verify(archive, keys=tmp_path / "before", checker=checker).findings
    assert (one.kind, one.path) == ("altered", SIGNATURE)
    assert "expired" in one.says or "does not count for 20261122201500Z" in one.says
