"""VERIFY.txt of a delta: how a stranger checks it, puts it together with its base, and checks what comes of it."""

from __future__ import annotations

from collections.abc import Sequence

from shared.signing.moments import ssh_time

from .delta_page import Parted
from .verifying import NOT_SIGNED, SIGNED, decrypt, last_of, unzip


def steps(parted: Parted, signed_by: str | None, encrypted_to: Sequence[str], volumes: int | None) -> bytes:
    """Write what to do with a delta; each command ends with an error if anything is wrong.

    *signed_by* is the id of the key that signs; only those who have a key of *encrypted_to* can open what carries the
    delta, which may be several *volumes*.
    """
    name, several, base = parted.name, volumes is not None, parted.since.named
    known = {
        "name": name,
        "base": parted.since.bag,
        "base_id": base.export_id,
        "base_sha256": base.sha256,
        "tagmanifest": base.tagmanifest,
        "last": last_of(name, volumes) + (".age" if encrypted_to else ""),
        "decrypt": decrypt(name, several=several),
        "keys": ", ".join(encrypted_to),
        "unzip": unzip(name, several=several),
        "decrypt_base": decrypt(parted.since.bag, several=parted.since.several),
        "unzip_base": unzip(parted.since.bag, several=parted.since.several),
        "key_id": signed_by,
        "time": ssh_time(parted.moment),
        "plain": last_of(name, volumes),
        # Any of several names all that lie beside it.
        "base_zip": last_of(parted.since.bag, 1 if parted.since.several else None),
    }
    parts = [
        BEGINS,
        DECRYPT if encrypted_to else "",
        DECRYPT_BASE if parted.since.encrypted else "",
        UNPACK,
        VOLUMES if volumes is not None and volumes > 1 else "",
        HERE,
        NOT_SIGNED if signed_by is None else SIGNED,
        # Where nothing is unchanged the list is empty, which sha256sum takes for an error.
        TAKE if parted.changes.unchanged else "",
        JOIN,
        AT_ONCE,
    ]
    return "".join(parts).format(**known).encode()


# Lines that begin with four spaces are commands.
BEGINS = """\
How to check this delta, and how to make the full archive of it and its base

THIS IS NOT ALL OF THE DATA. It holds the files that changed since {base_id}. All of it is there only
together with that archive, {base}, whose SHA-256 was
{base_sha256}.

Whoever gave you the delta also told its SHA-256. If this prints the same, nothing is wrong with the delta:

    sha256sum {last}

"""

DECRYPT = """\
It was encrypted with age for {keys}.
Decrypt it, if you have not; KEY is the file with your key (age-keygen's, or one of SSH). It ends with an error unless
it is all there:

    {decrypt}

"""

DECRYPT_BASE = """\
The base was encrypted with age, and the SHA-256 above is that of the encrypted file. Decrypt it, too; it need not be
the same KEY:

    {decrypt_base}

"""

UNPACK = """\
Unpack the base and the delta into the same folder. Each has a folder of its own there:

    {unzip_base}
    {unzip}

"""

VOLUMES = """\
The delta is in several volumes; the last has the digests of all others:

    sha256sum --strict --quiet -c {name}/volumes-sha256.txt

"""

HERE = """\
Every file of the delta is as it was written (on macOS: shasum -a 256 in place of sha256sum --strict --quiet):

    (cd {name} && sha256sum --strict --quiet -c manifest-sha256.txt)
    (cd {name} && sha256sum --strict --quiet -c tagmanifest-sha256.txt)

The base is the one that the delta was made against:

    echo "{tagmanifest}  {base}/tagmanifest-sha256.txt" | sha256sum --strict --quiet -c

"""

TAKE = """\
All that the delta takes from the base lies there, as it has to be:

    (cd {base} && sha256sum --strict --quiet -c ../{name}/from-base.txt)

Put it beside what the delta has:

    (cd {base} && cut -c 67- ../{name}/from-base.txt | tar -cf - -T -) | tar -C {name} -xf -

"""

JOIN = """\
Let the full archive's own page, manifests and signatures take the place of the delta's:

    rm -f {name}/from-base.txt {name}/volumes-sha256.txt && mv -f {name}/full/* {name} && rmdir {name}/full

Now {name} is the full archive, complete if these find nothing wrong; its own VERIFY.txt has more, from the
signatures on:

    (cd {name} && sha256sum --strict --quiet -c manifest-sha256.txt)
    (cd {name} && sha256sum --strict --quiet -c tagmanifest-sha256.txt)
    (cd {name} && find . -type f | sed 's:^[.]/::' | \
grep -Evx 'tagmanifest-sha256[.]txt([.]sshsig|[.]sig)?' | LC_ALL=C sort > ../{name}.found)
    (cd {name} && cut -c 67- manifest-sha256.txt tagmanifest-sha256.txt | LC_ALL=C sort > ../{name}.named)
    cmp {name}.found {name}.named

"""

AT_ONCE = """\
All of that at once, and all rows counted anew, with the program inside (Python 3.11 or later): of what was put
together, and of the two files without putting them together. --keys FOLDER names the published keys. Without --base it
ends with 5, and says what is needed.

    python3 {name}/verify.py {name}
    python3 {name}/verify.py --base {base_zip} {plain}

"""
