"""What a stranger needs to check the archive: the verifier itself, and commands to paste."""

from __future__ import annotations

from pathlib import Path

from shared.verify import archive

PROGRAM = "verify.py"
STEPS = "VERIFY.txt"


def program() -> bytes:
    """Give the verifier: one file of Python that needs nothing else."""
    return Path(archive.__file__).read_bytes()


def steps(name: str) -> bytes:
    """Write what to do with the archive *name*; each command ends with an error if anything is wrong."""
    return TEXT.format(name=name).encode()


# Lines that begin with four spaces are commands.
TEXT = """\
How to check that this archive is complete and unaltered

Whoever gave you the archive also told its SHA-256 (ExportReady). If this prints the same, nothing below can fail:

    sha256sum {name}.zip

Unpack it:

    unzip -q {name}.zip

Every file is here as it was written (on macOS: shasum -a 256 in place of sha256sum --strict --quiet):

    (cd {name} && sha256sum --strict --quiet -c manifest-sha256.txt)
    (cd {name} && sha256sum --strict --quiet -c tagmanifest-sha256.txt)

Nothing is here that the manifests don't name:

    (cd {name} && find . -type f ! -name tagmanifest-sha256.txt | sed 's:^[.]/::' | LC_ALL=C sort > ../{name}.found)
    (cd {name} && cut -c 67- manifest-sha256.txt tagmanifest-sha256.txt | LC_ALL=C sort > ../{name}.named)
    cmp {name}.found {name}.named

All of that at once, and all rows counted anew, with the program inside (Python 3.11 or later). It names each file that
is altered, missing or added. Those who made the archive wrote it too: compare it with one that you have from elsewhere.

    python3 {name}/verify.py {name}.zip
    python3 {name}/verify.py {name}

data/completeness.json says what became of every table: exported, empty, or left out and why.
"""
