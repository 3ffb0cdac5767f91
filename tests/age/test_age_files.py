"""Files of age, read by a program other than the ones that wrote them; what was altered doesn't open."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from pathlib import Path

import pyrage
import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given
from hypothesis import strategies as some

from shared.age.bech32 import bytes_of
from shared.age.decrypted import NotForThisKeyError, decrypted
from shared.age.header import NotAgeError, read_header
from shared.age.identity import Identity, IdentityError, derived, identities_in

CHUNK = 1 << 16
SEALED = CHUNK + 16
SECRET = pyrage.x25519.Identity.generate()
ANOTHER = pyrage.x25519.Identity.generate()
OURS = Identity.of(str(SECRET))
BODY = os.urandom(2 * CHUNK + 500)


def encrypted(body: bytes = BODY, *more: pyrage.x25519.Recipient) -> bytes:
    return pyrage.encrypt(body, [ANOTHER.to_public(), *more, SECRET.to_public()])


def opened(body: bytes, *identities: Identity) -> io.BufferedReader:
    return decrypted(io.BytesIO(body), identities or (OURS,), "a.zip.age")


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 2_000_000])
def test_what_a_library_wrote_is_read(size: int) -> None:
    """Of every length, whatever other recipients there are."""
    body = os.urandom(size)
    with opened(encrypted(body)) as file:
        assert file.read() == body


@pytest.mark.skipif(shutil.which("age") is None, reason="the tool age is not on this machine")
def test_what_the_tool_wrote_is_read(tmp_path: Path) -> None:
    """The tool and this reader understand each other."""
    (tmp_path / "a").write_bytes(BODY)
    subprocess.run(["age", "-r", str(SECRET.to_public()), "-o", "a.age", "a"], cwd=tmp_path, check=True)

    with opened((tmp_path / "a.age").read_bytes()) as file:
        assert file.read() == BODY


WHOLE = encrypted()


@given(at=some.integers(0, len(BODY) + 10), size=some.integers(0, 3 * CHUNK))
def test_it_is_read_from_anywhere(at: int, size: int) -> None:
    """A ZIP's directory is at its end, and its files are anywhere."""
    with opened(WHOLE) as file:
        file.seek(at)
        assert file.read(size) == BODY[at : at + size]


PAYLOAD = len(WHOLE) - (len(BODY) + 3 * 16)
ALTERED = {
    "a letter of the first piece": WHOLE[: PAYLOAD + 5] + bytes([WHOLE[PAYLOAD + 5] ^ 1]) + WHOLE[PAYLOAD + 6 :],
    "the number of chance": WHOLE[: PAYLOAD - 1] + bytes([WHOLE[PAYLOAD - 1] ^ 1]) + WHOLE[PAYLOAD:],
    "the last byte": WHOLE[:-1] + bytes([WHOLE[-1] ^ 1]),
    "cut in a piece": WHOLE[:-100],
    "cut between pieces": WHOLE[: PAYLOAD + 2 * SEALED],
    "cut to the header": WHOLE[:PAYLOAD],
    "something added": WHOLE + b"x",
    "an empty piece added": WHOLE[: PAYLOAD + 2 * SEALED] + bytes(16),
    "two pieces changed places": WHOLE[:PAYLOAD]
    + WHOLE[PAYLOAD + SEALED : PAYLOAD + 2 * SEALED]
    + WHOLE[PAYLOAD : PAYLOAD + SEALED]
    + WHOLE[PAYLOAD + 2 * SEALED :],
    "the payload of another file": WHOLE[: PAYLOAD - 16] + encrypted()[-(len(WHOLE) - PAYLOAD + 16) :],
}


@pytest.mark.parametrize("name", ALTERED)
def test_what_was_altered_does_not_open(name: str) -> None:
    """Altered, cut off, moved, lengthened, or of another file: it isn't read as if it were what was written."""
    with pytest.raises(OSError, match="altered or cut off"), opened(ALTERED[name]) as file:
        file.read()


def test_what_is_cut_off_is_found_before_the_end_is_reached() -> None:
    """Whoever reads only the beginning learns it too; the size of a file that was cut is no file's."""
    for name in ("cut in a piece", "cut between pieces", "something added"):
        with pytest.raises(OSError, match="altered or cut off"):
            opened(ALTERED[name])


def test_nothing_may_be_sealed_as_the_end_after_a_whole_piece() -> None:
    """As the format has it: else one content could be two files."""
    begins = WHOLE[:PAYLOAD]
    key = OURS.file_key(next(one for one in read_header(io.BytesIO(WHOLE), "").stanzas if OURS.file_key(one)))
    assert key is not None
    cipher = ChaCha20Poly1305(derived(key, begins[-16:], b"payload"))
    first = cipher.encrypt(bytes(12), BODY[:CHUNK], None)
    ended = cipher.encrypt(bytes(11) + b"\1", BODY[:CHUNK], None)
    nothing = cipher.encrypt(bytes(10) + b"\1\1", b"", None)

    with opened(begins + ended) as file:
        assert file.read() == BODY[:CHUNK]
    with pytest.raises(OSError, match="altered or cut off"):
        opened(begins + first + nothing)


def test_a_recipient_taken_out_is_found() -> None:
    """The header is under the file's key too: nobody can say that it was encrypted for others."""
    first, _, rest = WHOLE.partition(b"-> ")
    without = first + b"-> " + rest.split(b"-> ", 1)[1]

    with pytest.raises(NotAgeError, match="was altered"):
        opened(without)


def test_it_is_not_for_everybody() -> None:
    """Another's key opens nothing, and the message shows no secret."""
    stranger = Identity.of(str(pyrage.x25519.Identity.generate()))
    with pytest.raises(NotForThisKeyError, match=r"a.zip.age: is not encrypted for this key, but for X25519, X25519"):
        opened(WHOLE, stranger)

    assert stranger.secret.hex() not in repr(stranger)
    assert repr(stranger) == "Identity()"
    with opened(WHOLE, stranger, OURS) as file:
        assert file.read() == BODY


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"PK\x03\x04",
        b"age-encryption.org/v2\n",
        b"age-encryption.org/v1",
        b"age-encryption.org/v1\n-> X25519 a\nb\n",
        b"age-encryption.org/v1\nX25519\n",
        b"age-encryption.org/v1\n->  x\n\n--- a\n",
        b"age-encryption.org/v1\n-> ssh-rsa\n\n--- aaaa\n",
        b"age-encryption.org/v1\n-> X25519 a\n!!\n--- a\n",
        b"age-encryption.org/v1\n" + b"-" * 3_000_000,
    ],
)
def test_what_is_no_file_of_age_is_said_to_be_none(body: bytes) -> None:
    """A broken header is a sentence, whatever is in it."""
    with pytest.raises(NotAgeError, match=r"^a\.zip\.age: "):
        read_header(io.BytesIO(body), "a.zip.age")


def test_identities_are_read_as_their_tool_writes_them(tmp_path: Path) -> None:
    """Comments and empty lines are none of the keys."""
    path = tmp_path / "key.txt"
    path.write_text(f"# created: 2026-11-27\n# public key: {SECRET.to_public()}\n{SECRET}\n\n{ANOTHER}\n")

    assert identities_in(path) == (OURS, Identity.of(str(ANOTHER)))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no identity"),
        ("# only a comment\n", "holds no identity"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\n", "line 1: is no AGE-SECRET-KEY-1… With another kind of key"),
        (str(SECRET)[:-1] + ("Q" if str(SECRET)[-1] != "Q" else "P"), "line 1: is no identity of age: its checksum"),
        (str(SECRET)[:-3], "line 1: is no identity"),
        ("AGE-SECRET-KEY-1\n", "line 1: is no identity"),
        ("\udcff", "can't be read"),
    ],
    ids=["empty", "a comment", "of SSH", "mistyped", "cut off", "nothing after it", "no text"],
)
def test_an_identity_that_is_none_is_a_sentence_without_a_secret(tmp_path: Path, text: str, says: str) -> None:
    """The file and the line are named; nothing of the key is repeated."""
    path = tmp_path / "key.txt"
    path.write_bytes(text.encode(errors="surrogateescape"))

    with pytest.raises(IdentityError) as told:
        identities_in(path)
    assert says in str(told.value)
    assert str(SECRET)[16:40] not in str(told.value)


def test_bech32_reads_what_its_standard_gives() -> None:
    """The valid ones of BIP 173, and some of the invalid."""
    assert bytes_of("A12UEL5L", "a") == b""
    assert len(bytes_of(str(SECRET), "age-secret-key-")) == 32
    for text in ("A12uEL5L", "1nwldj5", "A1G7SGD8", "de1lg7wt\xff", "a12uel5m", "b12uel5l"):
        with pytest.raises(ValueError, match=r"letters|form|checksum"):
            bytes_of(text, "a")
