"""VERIFY.txt: what a stranger pastes to check a certificate, with tools that we didn't write."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from datetime import datetime

ADDENDUM_NAME = "addendum.json"
SECOND_NAME = "upgrade.json"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the commands of VERIFY.txt ask for: the certificate *name*, its digest, its *paper*, and by which keys.

    *time* is the moment that the certificate names, as ssh-keygen reads it: for it the key has to count. The paper's
    has to count when it was signed, *signed_at*.
    """

    sha256: str
    key_id: str
    time: str
    name: str
    paper: str
    signed_at: datetime


def verify_text(asked: Asked, *, stamped: bool = False) -> bytes:
    """Write what a stranger pastes to check the files beside it."""
    text = VERIFY + (VERIFY_STAMP if stamped else VERIFY_NO_STAMP) + _BESIDES.get(asked.name, "")
    return text.format(**asdict(asked), at=math.ceil(asked.signed_at.timestamp())).encode()


VERIFY = """\
How to check this certificate. Save all files of this folder into one folder, open a terminal there, and paste.

1. The file is the one that the announcement of the account's end names (its certificate_sha256). Expect "OK".

   echo "{sha256}  {name}" | sha256sum -c

   On macOS: echo "{sha256}  {name}" | shasum -a 256 -c

2. It was signed by the key {key_id}. Expect 'Good "offramp" signature'.

   ssh-keygen -Y verify -O verify-time={time} -f allowed_signers -I offramp -n offramp \
-s {name}.sshsig < {name}

Below OpenSSH 9.1, leave out -O verify-time={time}.

3. It was signed a second time, by another method and another tool. Expect "Verified OK".

   openssl dgst -sha256 -verify signing.pub.pem -signature {name}.sig {name}

4. {paper} says the same for people. Its text names the digest of {name}. Expect a line with it.

   pdftotext {paper} - | grep {sha256}

5. It carries a signature of its own. Expect "Signature is Valid" and "Total document signed".

   pdfsig -nocert {paper}

6. That signature is by a key for which a published root vouches. Expect "verification successful".

   set -- $(grep -ao '/ByteRange \\[[0-9 ]*' {paper} | tr -dc '0-9 '); (head -c $2 {paper}; tail -c $4 {paper}) > signed
   pdfsig -dump {paper}
   openssl cms -verify -binary -inform DER -in {paper}.sig0 -content signed -CAfile paper_roots.pem \
-purpose any -attime {at} -out /dev/null

allowed_signers, signing.pub.pem and paper_roots.pem lie beside the certificate for convenience. Whoever could replace
the certificate could replace them too: compare them with those that were published elsewhere, or use those instead.

With offramp all of that, the chain of the journal and the second stage are checked at once. Expect exit code 0.

   offramp verify {name}
"""

VERIFY_NO_STAMP = """
There is no timestamp by a third party (RFC 3161): when it was signed is the word of whoever holds the keys.
"""

VERIFY_STAMP = """
The signature in {paper} has a timestamp by a third party (RFC 3161), whose roots are in timestamp_roots.pem: it was
made at that moment at the latest. offramp verify checks it, and so does Acrobat.
"""

VERIFY_ADDENDUM = """
This is an addendum to a certificate, whose files lie in the folder above. Its digest is in first_sha256. Expect "OK".

   echo "$(jq -r .first_sha256 addendum.json)  ../certificate.json" | sha256sum -c
"""

VERIFY_SECOND = """
This is the second certificate. It speaks of the first, whose files lie in the folder above. Expect "OK".

   echo "$(jq -r .first_sha256 {name})  ../certificate.json" | sha256sum -c
"""

_BESIDES = {SECOND_NAME: VERIFY_SECOND, ADDENDUM_NAME: VERIFY_ADDENDUM}
