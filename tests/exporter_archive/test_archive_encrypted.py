"""An archive for one customer's key: whoever has it reads all of it with ordinary tools, and nobody else anything."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tracemalloc
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import ZipFile

import pyrage
import pytest
from archive_school import MAP, School
from test_archive_going_on import AFTER_ROWS, command, writers  # noqa: F401 - a fixture
from typer.testing import CliRunner, Result

from services.exporter.archive.build import build
from services.exporter.archive.encrypting import EncryptedSink
from services.exporter.archive.encryption import Encryption, name_of
from services.exporter.archive.faults import NotReadBackError, UnusableRecipientError
from services.exporter.archive.kept import Kept, KeptFile, KeptObject
from services.exporter.archive.proof import Scratch, prove
from services.exporter.archive.report import ArchiveReport
from services.exporter.archive.sink import FileSink, Sink
from services.exporter.commands import app as export_app
from shared.age.decrypted import NotForThisKeyError
from shared.signing.keys import make_keys
from shared.signing.signer import Signer
from shared.signing.sshsig import ARCHIVE
from shared.store_faults import StoreOutageError
from shared.verify.archive import verify
from shared.verify.encrypted import verify_encrypted
from tests.verified import verified

KEY = "acme/export-1.zip.age"
MIB = 1 << 20


@dataclass(frozen=True)
class Keyholder:
    """Somebody with a key of some kind: what others are told of it, and what decrypts with it."""

    public: str
    identity: pyrage.x25519.Identity | pyrage.ssh.Identity

    def opens(self, body: bytes) -> bytes:
        return pyrage.decrypt(body, [self.identity])


def keyholder(kind: str, folder: Path) -> Keyholder:
    if kind == "age":
        identity = pyrage.x25519.Identity.generate()
        return Keyholder(str(identity.to_public()), identity)
    path = folder / f"id_{kind}"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "ann@acme.test", "-f", path], check=True)
    public = " ".join(path.with_suffix(".pub").read_text().split()[:2])
    return Keyholder(public, pyrage.ssh.Identity.from_buffer(path.read_bytes()))


@pytest.fixture
def customer(tmp_path: Path) -> Keyholder:
    return keyholder("age", tmp_path)


@pytest.fixture(params=["file", "store"])
def place(request: pytest.FixtureRequest, school: School, tmp_path: Path) -> tuple[Sink, Kept]:
    """Both places where an archive can go."""
    path = tmp_path / "out" / "export-1.zip.age"
    if request.param == "file":
        return FileSink(path), KeptFile(path)
    return school.store.upload(school.bucket, KEY), KeptObject(school.store, school.bucket, KEY)


async def body_of(kept: Kept, school: School) -> bytes:
    return kept.path.read_bytes() if isinstance(kept, KeptFile) else await school.store.get(school.bucket, KEY)


async def left(kept: Kept, school: School) -> int:
    if isinstance(kept, KeptFile):
        return len(list(kept.path.parent.iterdir()))
    return await school.store.count_left(school.bucket, "acme/")


def encryption_to(*keys: str) -> Encryption:
    made = Encryption.to(keys)
    assert made is not None
    return made


async def built(school: School, sink: Sink, given: Encryption) -> ArchiveReport:
    return await build(school.sources, replace(school.order(), compare_up_to=100, encryption=given), sink)


@pytest.mark.parametrize("kind", ["age", "ed25519", "rsa"])
async def test_whoever_has_the_key_reads_all_of_it(
    school: School, tmp_path: Path, kind: str, place: tuple[Sink, Kept]
) -> None:
    """Decrypted it is the archive, whole; the digest that is told is of what lies there; it says for whom it is."""
    customer, (sink, kept) = keyholder(kind, tmp_path), place
    given = encryption_to(customer.public)
    report = await built(school, sink, given)
    proven = await prove(report, kept, Scratch(school.connect, school.dsn), given)
    body = await body_of(kept, school)

    assert (report.size, report.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    assert body.startswith(b"age-encryption.org/v1\n")
    (tmp_path / "export-1.zip").write_bytes(customer.opens(body))
    assert verify(tmp_path / "export-1.zip").findings == ()
    assert proven.compared == ("customers", "users", "notes")
    assert report.encrypted_to == (name_of(customer.public),)
    with ZipFile(tmp_path / "export-1.zip") as opened:
        assert f"Encrypted-To: {report.encrypted_to[0]}\n" in opened.read("export-1/bag-info.txt").decode()


async def test_nobody_else_reads_anything_of_it(school: School, tmp_path: Path, customer: Keyholder) -> None:
    """Nothing of a row, of a name of a file or of the archive's own shows in it; another's key doesn't open it."""
    sink = FileSink(tmp_path / "a.zip.age")
    await built(school, sink, encryption_to(customer.public))
    body = (tmp_path / "a.zip.age").read_bytes()

    # Of six bytes and more: fewer come about by chance.
    for word in (b"PK\x03\x04\x14\x00", b"PK\x01\x02\x14\x03", b"acme.test", b"export-1", b"film.mp4"):
        assert word not in body
    with pytest.raises(pyrage.DecryptError):
        keyholder("age", tmp_path).opens(body)
    assert [one.name for one in tmp_path.iterdir()] == ["a.zip.age"]


@pytest.mark.skipif(shutil.which("age") is None, reason="the tool age is not on this machine")
async def test_the_ordinary_tool_opens_it(school: School, tmp_path: Path, customer: Keyholder) -> None:
    """What everybody would take to open it does."""
    await built(school, FileSink(tmp_path / "export-1.zip.age"), encryption_to(customer.public))
    (tmp_path / "KEY").write_text(str(customer.identity))
    arguments = ["age", "--decrypt", "-i", "KEY", "-o", "export-1.zip", "export-1.zip.age"]
    subprocess.run(arguments, cwd=tmp_path, check=True)

    assert verify(tmp_path / "export-1.zip").findings == ()


async def test_several_can_open_it(school: School, tmp_path: Path) -> None:
    """Each of those who were named, and named once where they were named twice."""
    holders = [keyholder("age", tmp_path), keyholder("ed25519", tmp_path)]
    keys = [one.public for one in (*holders, *holders)]
    report = await built(school, FileSink(tmp_path / "a"), encryption_to(*keys))

    assert report.encrypted_to == tuple(name_of(one.public) for one in holders)
    for one in holders:
        assert one.opens((tmp_path / "a").read_bytes()).startswith(b"PK\x03\x04")


async def test_the_same_data_makes_the_same_bytes_inside_alone(
    school: School, tmp_path: Path, customer: Keyholder
) -> None:
    """Two are different files; what is in them is the same, byte for byte."""
    bodies = []
    for name in ("a", "b"):
        await built(school, FileSink(tmp_path / name), encryption_to(customer.public))
        bodies.append((tmp_path / name).read_bytes())

    assert bodies[0] != bodies[1]
    assert customer.opens(bodies[0]) == customer.opens(bodies[1])


def test_an_ssh_key_is_named_as_its_own_tool_names_it(tmp_path: Path) -> None:
    """Whoever has the key can see that it is theirs: ssh-keygen -l, age-keygen -y."""
    for kind in ("ed25519", "rsa"):
        customer = keyholder(kind, tmp_path)
        said = subprocess.run(["ssh-keygen", "-lf", tmp_path / f"id_{kind}.pub"], check=True, capture_output=True)
        assert name_of(customer.public) == said.stdout.decode().split()[1]
    assert name_of("age1x") == "age1x"


def ssh_rsa(exponent: int, bits: int = 2048) -> str:
    """Give an SSH key of RSA as RFC 4253 section 6.6 writes it, whatever can be done with it."""
    numbers = (number.to_bytes(number.bit_length() // 8 + 1) for number in (exponent, 1 << (bits - 1) | 12345))
    fields = (b"ssh-rsa", *numbers)
    return f"ssh-rsa {b64encode(b''.join(len(one).to_bytes(4) + one for one in fields)).decode()}"


def ssh_ed25519(y: int) -> str:
    fields = (b"ssh-ed25519", y.to_bytes(32, "little"))
    return f"ssh-ed25519 {b64encode(b''.join(len(one).to_bytes(4) + one for one in fields)).decode()}"


# y, and the sign of x above it, of points of small order (RFC 8032): what is agreed on is known to everybody.
SMALL_ORDER = (0, 1, 2**255 - 20, 2**255 - 19, 2**255 - 18, 2**255, 2**255 + 1)

UNUSABLE = {
    "not a key": "age1",
    "a letter mistyped": "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8q",
    "with a comment": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJyv8Fku3s0Z0m8mGZk6k1XJHq0nYc6aZJ0tqjIu0m1X ann@acme.test",
    "a kind that age doesn't have": "ssh-dss AAAAB3NzaC1kc3M",
    "a secret key": "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ",
    "cut off": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA",
    "not base64": "ssh-rsa !!!!",
    "empty": "",
    "without an exponent": ssh_rsa(0),
    "without its padding": ssh_rsa(65537, 4096).rstrip("="),
    "no point": "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z",
    "a point of small order": "age1qyqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqj7vrya",
    **{f"a point of small order, y = {y}": ssh_ed25519(y) for y in SMALL_ORDER},
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_for_a_key_that_is_none_nothing_is_written(tmp_path: Path, customer: Keyholder, name: str) -> None:
    """It fails before anything is read or written, beside a good one too; a comment is often a person."""
    with pytest.raises(UnusableRecipientError) as told:
        Encryption.to([customer.public, UNUSABLE[name]])

    assert str(told.value).startswith("recipient 2: it is no public key that age can encrypt for. Give age1… ")
    assert "ann@acme" not in str(told.value)
    assert "SECRET-KEY" not in str(told.value)


async def test_an_archive_that_changed_where_it_lies_is_none(
    school: School, customer: Keyholder, place: tuple[Sink, Kept], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where what was encrypted isn't what was written, nothing is ready, and nothing stays."""
    taken = EncryptedSink.write

    async def altered(self: EncryptedSink, data: bytes) -> None:
        await taken(self, data.replace(b"PK\x01\x02", b"PK\x01\x00"))

    monkeypatch.setattr(EncryptedSink, "write", altered)
    sink, kept = place
    given = encryption_to(customer.public)
    report = await built(school, sink, given)

    with pytest.raises(NotReadBackError):
        await prove(report, kept, None, given)
    assert await left(kept, school) == 0


async def test_an_end_that_the_library_loses_is_missed(
    school: School, customer: Keyholder, place: tuple[Sink, Kept], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library that ends well though it didn't write all: the reading back finds it."""
    monkeypatch.setattr("services.exporter.archive.encrypting._Target.close", lambda _: None)
    sink, kept = place
    given = encryption_to(customer.public)
    report = await built(school, sink, given)

    with pytest.raises((NotReadBackError, OSError)):
        await prove(report, kept, None, given)
    assert await left(kept, school) == 0


async def test_it_is_read_back_by_the_key_of_this_try_alone(
    school: School, customer: Keyholder, place: tuple[Sink, Kept]
) -> None:
    """Whoever has only what another try had can't open it; nothing that was not opened is ready."""
    sink, kept = place
    report = await built(school, sink, encryption_to(customer.public))

    with pytest.raises(NotForThisKeyError):
        await prove(report, kept, None, encryption_to(customer.public))
    assert await left(kept, school) == 0


class Gone(FileSink):
    """A place that goes away after so many bytes."""

    def __init__(self, path: Path, after: int) -> None:
        super().__init__(path)
        self.after = after

    async def write(self, data: bytes) -> None:
        self.after -= len(data)
        if self.after < 0:
            raise StoreOutageError("the store went away")
        await super().write(data)


@pytest.mark.parametrize("after", [0, MIB, 4 * MIB], ids=["at the first byte", "amid it", "at the end"])
async def test_a_place_that_goes_away_is_told_as_it_is(tmp_path: Path, customer: Keyholder, after: int) -> None:
    """It is the outage that is raised, and waited for; nothing is left, no thread either."""
    sink = encryption_to(customer.public).sink(Gone(tmp_path / "a", after))

    async def written() -> None:
        async with sink:
            for _ in range(8):
                await sink.write(bytes(MIB // 2))

    with pytest.raises(StoreOutageError, match="went away"):
        await asyncio.wait_for(written(), 10)
    assert list(tmp_path.iterdir()) == []


class GoneAtTheEnd(FileSink):
    """Takes no short piece, as the library's last one is."""

    async def write(self, data: bytes) -> None:
        if len(data) % 4096:
            raise StoreOutageError("the store went away")
        await super().write(data)


async def test_a_place_that_goes_away_at_the_very_end_is_told(
    tmp_path: Path, customer: Keyholder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library ends well though all that it wrote was refused at once, at its end."""
    monkeypatch.setattr("services.exporter.archive.encrypting._GATHERED", 1)
    sink = encryption_to(customer.public).sink(GoneAtTheEnd(tmp_path / "a"))

    async def written() -> None:
        async with sink:
            await sink.write(bytes(1000))

    with pytest.raises(StoreOutageError, match="went away"):
        await written()
    assert list(tmp_path.iterdir()) == []


async def given_up(sink: Sink, stop: BaseException) -> None:
    async with sink:
        await sink.write(bytes(3 * MIB))
        raise stop


async def test_a_writer_that_gives_up_leaves_nothing(tmp_path: Path, customer: Keyholder) -> None:
    """Whatever stopped it is what is raised, and what was encrypted so far is no file."""
    for stop in (KeyError("stop"), asyncio.CancelledError()):
        sink = encryption_to(customer.public).sink(FileSink(tmp_path / "a"))
        with pytest.raises(type(stop)):
            await given_up(sink, stop)
        assert list(tmp_path.iterdir()) == []


async def test_memory_does_not_depend_on_the_size(tmp_path: Path, customer: Keyholder) -> None:
    """Ten times as much needs no more; a place that takes nothing makes the writer wait."""
    tracemalloc.start()
    peaks = []
    for size in (4, 40):
        sink = encryption_to(customer.public).sink(FileSink(tmp_path / "a"))
        tracemalloc.reset_peak()
        async with sink:
            for _ in range(size * 2):
                await sink.write(os.urandom(MIB // 2))
        peaks.append(tracemalloc.get_traced_memory()[1])
        assert sink.stored.size > size * MIB
    tracemalloc.stop()

    assert abs(peaks[1] - peaks[0]) < MIB
    assert peaks[1] < 8 * MIB


class Stuck(FileSink):
    """Takes nothing."""

    async def write(self, data: bytes) -> None:
        await asyncio.Event().wait()


async def test_a_slow_place_makes_the_writer_wait(tmp_path: Path, customer: Keyholder) -> None:
    """What is encrypted doesn't pile up."""
    sink, written = encryption_to(customer.public).sink(Stuck(tmp_path / "a")), 0

    async def write_for_ever() -> None:
        nonlocal written
        async with sink:
            while True:
                await sink.write(bytes(MIB // 2))
                written += 1

    writing = asyncio.create_task(write_for_ever())
    done, _ = await asyncio.wait([writing], timeout=0.3)
    assert not done
    assert written <= 4


# The commands.


async def exported(school: School, folder: Path, to: str, *more: str) -> Result:
    path = folder / "map.yaml"
    await asyncio.to_thread(path.write_text, MAP.replace("BUCKET", school.bucket))
    arguments = ["--map", str(path), "--dsn", school.dsn, "--customer", "acme", "--to", to, *more]
    return await asyncio.to_thread(CliRunner().invoke, export_app, arguments)


@pytest.fixture
async def archive(school: School, tmp_path: Path, customer: Keyholder) -> Path:
    """An encrypted and signed archive, beside the file with its key and the published ones."""
    make_keys(tmp_path / "keys", ARCHIVE)
    (tmp_path / "KEY").write_text(f"# of the customer\n{customer.identity}\n")
    given = encryption_to(customer.public)
    order = replace(school.order(), encryption=given, signer=Signer.load(tmp_path / "keys", ARCHIVE))
    path = tmp_path / "export-1.zip.age"
    await build(school.sources, order, FileSink(path))
    return path


async def test_the_command_encrypts(school: School, tmp_path: Path, customer: Keyholder) -> None:
    """Into a folder and into a store, under a name that says so; it tells for whom."""
    folder, store = str(tmp_path / "out"), f"s3://{school.bucket}/acme/one.zip.age"
    for to in (folder, store):
        said = await exported(school, tmp_path, to, "--encrypt-to", customer.public, "--format", "csv", "--json")
        assert said.exit_code == 0, said.output
        report = json.loads(said.stdout)
        assert report["encrypted_to"] == [customer.public]
        assert report["place"].endswith(".zip.age")
    (path,) = (tmp_path / "out").iterdir()
    with ZipFile(io.BytesIO(customer.opens(path.read_bytes()))) as opened:
        assert opened.testzip() is None
    body = customer.opens(await school.store.get(school.bucket, "acme/one.zip.age"))
    assert ZipFile(io.BytesIO(body)).namelist()[0] == "one/bagit.txt"


async def test_a_key_that_is_none_makes_no_archive(school: School, tmp_path: Path) -> None:
    """The command says what it takes, and leaves nothing."""
    said = await exported(school, tmp_path, str(tmp_path / "out"), "--encrypt-to", "age1whatever")

    assert isinstance(said.exception, UnusableRecipientError)
    assert not (tmp_path / "out").exists()


def test_without_a_key_it_is_never_called_whole(archive: Path) -> None:
    """It says that it is encrypted, for whom, and what to do; an exit code of its own; the digest is compared."""
    said = verified(archive)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert said.exit_code == 4
    assert "ENCRYPTED with age for X25519, X25519: nothing in it was checked" in said.output
    assert f"age --decrypt -i KEY -o {archive.with_suffix('')} {archive}" in said.output
    assert "complete" not in said.output
    assert json.loads(verified(archive, "--json").stdout)["encrypted"] is True
    assert verified(archive, "--sha256", digest).exit_code == 4
    assert verified(archive, "--sha256", "0" * 64).exit_code == 1


def test_with_the_key_all_of_it_is_checked(archive: Path) -> None:
    """As if it had been decrypted, which nothing is on the disk; the digest is of what lies there."""
    before = sorted(archive.parent.iterdir())
    said = verified(archive, "--identity", archive.parent / "KEY", "--keys", archive.parent / "keys", "--json")
    found = json.loads(said.stdout)

    assert said.exit_code == 0, said.output
    assert found["signature"]["trusted"] is True
    assert (found["findings"], sum(found["rows"].values()) > 6) == ([], True)
    assert found["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert sorted(archive.parent.iterdir()) == before


HOSTILE: dict[str, Callable[[bytes], bytes]] = {
    "cut off": lambda body: body[:-1000],
    "cut between two pieces": lambda body: body[: len(body) - (len(body) - body.index(b"\n--- ")) % 65552],
    "a letter changed": lambda body: (
        body[: len(body) // 2] + bytes([body[len(body) // 2] ^ 1]) + body[len(body) // 2 + 1 :]
    ),
    "something added": lambda body: body + b"\0",
    "empty": lambda _: b"",
    "only its header": lambda body: body[: body.index(b"\n--- ") + 48],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_was_altered_is_found(archive: Path, name: str) -> None:
    """With the key, and by the digest without it."""
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    archive.write_bytes(HOSTILE[name](archive.read_bytes()))
    said = verified(archive, "--identity", archive.parent / "KEY", "--keys", archive.parent / "keys")

    assert said.exit_code == 1, said.output
    assert "complete" not in said.output
    assert verified(archive, "--sha256", digest).exit_code == 1


def test_another_key_opens_nothing(archive: Path) -> None:
    """It is said for what kinds of keys it is."""
    (archive.parent / "OTHER").write_text(str(pyrage.x25519.Identity.generate()))
    said = verified(archive, "--identity", archive.parent / "OTHER")

    assert said.exit_code == 1
    assert "is not encrypted for this key" in str(said.exception)


def test_an_encrypted_file_under_another_name_is_no_zip(archive: Path) -> None:
    """Renamed to .zip it is still said to be encrypted, by the program inside the archive too, which can't open it."""
    renamed = archive.rename(archive.with_name("export-1.zip"))
    says = "it is encrypted: nothing in it was checked"
    assert [one.says[: len(says)] for one in verify(renamed).findings] == [says]
    said = verified(renamed)
    assert (said.exit_code, says in said.output) == (1, True)


def test_an_unencrypted_archive_under_an_encrypted_name_is_found(archive: Path, customer: Keyholder) -> None:
    """A name alone encrypts nothing: it is checked as what it is."""
    archive.write_bytes(customer.opens(archive.read_bytes()))

    assert "complete, unaltered" in verified(archive).output


def test_a_signature_inside_counts(archive: Path, tmp_path: Path, customer: Keyholder) -> None:
    """Anybody can encrypt for the customer: only the signature inside says who made it."""
    forged = archive.with_name("forged.zip.age")
    with ZipFile(io.BytesIO(customer.opens(archive.read_bytes()))) as opened:
        files = {name: opened.read(name) for name in opened.namelist()}
    files["export-1/bag-info.txt"] = files["export-1/bag-info.txt"].replace(b"acme", b"evil")
    with ZipFile(made := io.BytesIO(), "w") as opened:
        for name, body in files.items():
            opened.writestr(name, body)
    inside = made.getvalue()
    forged.write_bytes(pyrage.encrypt(inside, [pyrage.x25519.Recipient.from_str(customer.public)]))

    assert verify_encrypted(forged, tmp_path / "KEY", keys=tmp_path / "keys").findings


async def test_the_pasted_commands_find_nothing_wrong(archive: Path, customer: Keyholder) -> None:
    """Each command of VERIFY.txt, the decryption among them, ends well; the digest is that of the encrypted file."""
    (archive.parent / "bin").mkdir()
    with ZipFile(io.BytesIO(customer.opens(archive.read_bytes()))) as opened:
        text = opened.read("export-1/VERIFY.txt").decode()
    if shutil.which("age") is None:
        tool = archive.parent / "bin" / "age"
        tool.write_text(STAND_IN.format(python=sys.executable))
        tool.chmod(0o755)
    assert f"encrypted with age for {customer.public}." in text
    commands = re.findall(r"^    (.*)$", text, re.MULTILINE)
    assert commands[:2] == [
        "sha256sum export-1.zip.age",
        "age --decrypt -i KEY -o export-1.zip export-1.zip.age",
    ]
    path = f"{archive.parent / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    for one in commands:
        done = subprocess.run(["/bin/sh", "-c", one], cwd=archive.parent, env={"PATH": path}, check=False)
        assert done.returncode == 0, one


# The library's own decryption under the tool's name, where the tool isn't at hand.
STAND_IN = """#!{python}
import sys
import pyrage
_, decrypt, i, key, o, to, given = sys.argv
assert (decrypt, i, o) == ("--decrypt", "-i", "-o")
text = next(line for line in open(key) if line.startswith("AGE"))
pyrage.decrypt_file(given, to, [pyrage.x25519.Identity.from_str(text.strip())])
"""


async def test_of_an_interrupted_encrypted_export_nothing_is_kept(
    writers: School,  # noqa: F811
    tmp_path: Path,
    customer: Keyholder,
) -> None:
    """The next one has another key, so its parts are of no use; what a killed one left goes with the next."""
    to = f"s3://{writers.bucket}/acme/one.zip.age"
    more = ("--encrypt-to", customer.public)
    code, _, err = await command(writers, tmp_path, to, *more, stop=(15, *AFTER_ROWS))
    assert code == 143, err
    assert "Of what is encrypted nothing is kept: the same command begins anew" in err
    assert await writers.store.count_left(writers.bucket, "acme/") == 0

    code, _, _ = await command(writers, tmp_path, to, *more, stop=(9, *AFTER_ROWS))
    assert code == -9
    assert await writers.store.count_left(writers.bucket, "acme/") == 1
    code, out, err = await command(writers, tmp_path, to, *more, "--json")
    assert code == 0, err
    assert await writers.store.count_left(writers.bucket, "acme/") == 1
    body = await writers.store.get(writers.bucket, "acme/one.zip.age")
    assert json.loads(out)["sha256"] == hashlib.sha256(body).hexdigest()
    assert ZipFile(io.BytesIO(customer.opens(body))).testzip() is None
