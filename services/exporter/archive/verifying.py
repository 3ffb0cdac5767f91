"""What a stranger needs to check the archive: the verifier itself, and commands to paste."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from shared.signing.moments import ssh_time
from shared.verify import archive

PROGRAM = "verify.py"
STEPS = "VERIFY.txt"


def program() -> bytes:
    """Give the verifier: one file of Python that needs nothing else."""
    return Path(archive.__file__).read_bytes()


def steps(
    name: str, signed_by: str | None, moment: datetime, encrypted_to: Sequence[str] = (), volumes: int | None = None
) -> bytes:
    """Write what to do with the archive *name*; each command ends with an error if anything is wrong.

    *signed_by* is the id of the key that signs for the archive's *moment* (UTC); only those who have a key of
    *encrypted_to* can open what carries it, which may be several *volumes*.
    """
    signed = NOT_SIGNED if signed_by is None else SIGNED
    named = {"name": name, "key_id": signed_by, "time": ssh_time(moment), "keys": ", ".join(encrypted_to)}
    named |= {"last": last_of(name, volumes), "unzip": unzip(name, several=volumes is not None)}
    named |= {"decrypt": decrypt(name, several=volumes is not None), "age": ".age" if encrypted_to else ""}
    several = SEVERAL if volumes is not None and volumes > 1 else ""
    begins = ENCRYPTED if encrypted_to else PLAIN
    return f"{BEGINS}{begins}{UNPACK}{several}{TEXT}{signed}{AT_ONCE}".format(**named).encode()


def last_of(name: str, volumes: int | None) -> str:
    """Name the file that has the manifests: the only one, or the last of *volumes*."""
    return f"{name}.zip" if volumes is None else f"{name}.vol{volumes:03}.zip"


def unzip(name: str, *, several: bool) -> str:
    """Give the command that unpacks the archive."""
    return f'for one in {name}.vol*.zip; do unzip -q "$one" || exit; done' if several else f"unzip -q {name}.zip"


def decrypt(name: str, *, several: bool) -> str:
    """Give the command that decrypts the archive."""
    if several:
        return f'for one in {name}.vol*.zip.age; do age --decrypt -i KEY -o "${{one%.age}}" "$one" || exit; done'
    return f"age --decrypt -i KEY -o {name}.zip {name}.zip.age"


# Lines that begin with four spaces are commands.
BEGINS = """\
How to check that this archive is complete and unaltered

"""

PLAIN = """\
Whoever gave you the archive also told its SHA-256 (ExportReady). If this prints the same, nothing below can fail:

    sha256sum {last}

"""

ENCRYPTED = """\
The archive was encrypted with age for {keys}.
Whoever gave it to you also told its SHA-256 (ExportReady), which is that of the encrypted file. If this prints the
same, nothing below can fail:

    sha256sum {last}.age

Decrypt it, if you have not; KEY is the file with your key (age-keygen's, or one of SSH). It ends with an error unless
it is all there:

    {decrypt}

"""

UNPACK = """\
Unpack it:

    {unzip}

"""

SEVERAL = """\
It is in several volumes, of which each opens by itself. The one above is the last; it has the digests of all others, so
if they are here as they were written, nothing below can fail:

    sha256sum --strict --quiet -c {name}/volumes-sha256.txt

"""

TEXT = """\
Every file is here as it was written (on macOS: shasum -a 256 in place of sha256sum --strict --quiet):

    (cd {name} && sha256sum --strict --quiet -c manifest-sha256.txt)
    (cd {name} && sha256sum --strict --quiet -c tagmanifest-sha256.txt)

Nothing is here that the manifests don't name:

    (cd {name} && find . -type f | sed 's:^[.]/::' | \
grep -Evx 'tagmanifest-sha256[.]txt([.]sshsig|[.]sig)?' | LC_ALL=C sort > ../{name}.found)
    (cd {name} && cut -c 67- manifest-sha256.txt tagmanifest-sha256.txt | LC_ALL=C sort > ../{name}.named)
    cmp {name}.found {name}.named

"""

SIGNED = """\
The archive comes from whom you think: tagmanifest-sha256.txt, which has the digest of all the rest, is signed by the
key {key_id}, twice, by two methods and two tools that have nothing in
common. Expect 'Good "offramp-archive" signature' and "Verified OK":

    (cd {name} && ssh-keygen -Y verify -O verify-time={time} -f allowed_signers \
-I offramp -n offramp-archive -s tagmanifest-sha256.txt.sshsig < tagmanifest-sha256.txt)
    (cd {name} && openssl dgst -sha256 -verify signing.pub.pem \
-signature tagmanifest-sha256.txt.sig tagmanifest-sha256.txt)

The keys lie here for convenience. Whoever could replace the archive could replace them too: compare them with those
that were published elsewhere, or use those instead. Below OpenSSH 9.1, leave out -O verify-time={time}.

"""

NOT_SIGNED = """\
THIS ARCHIVE IS NOT SIGNED. The checks above show that it is as it was made, and nothing shows who made it.

"""

AT_ONCE = """\
All of that at once, and all rows counted anew, with the program inside (Python 3.11 or later). It names each file that
is altered, missing or added, and ends with 3 if nothing is but nobody signed. --keys FOLDER names the published keys.
Those who made the archive wrote it too: compare it with one that you have from elsewhere.

    python3 {name}/verify.py {last}
    python3 {name}/verify.py {name}

data/completeness.json says what became of every table: exported, empty, or left out and why.
"""
