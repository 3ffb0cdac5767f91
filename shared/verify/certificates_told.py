"""What ``offramp verify`` says of a certificate."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from .certificate import verify
from .faults import BadCertificateError
from .verdicts import Addition, First, Paper, Second


def check_certificate(path: Path, sha256: str | None, keys: Path | None, first: Path | None, *, as_json: bool) -> int:
    """Check the certificate at *path*, print what was found, and give the exit code; raises ``OperatorError``."""
    try:
        verdict = verify(path, keys, first)
        if sha256 not in {None, verdict.sha256}:
            says = f"has the SHA-256 {verdict.sha256}, announced was {sha256}"
            raise BadCertificateError(path, "file", says, "Fetch the one that was announced.")  # noqa: TRY301 - one way
    except BadCertificateError as error:
        if not as_json:
            raise
        found = {"link": error.link, "path": str(error.path), "says": error.says, "remedy": error.remedy}
        print(json.dumps({"path": str(path), "findings": [found]}, indent=2))
        return 1
    print(json.dumps(asdict(verdict) | {"findings": []}, indent=2) if as_json else _told(path, verdict))
    return 0


def _told(path: Path, verdict: First | Second | Addition) -> str:
    trust = "" if verdict.trusted else ", by the keys beside it: compare them with the published ones (--keys)"
    of = f"{path}: the deletion {verdict.deletion_id} of {verdict.customer_id}, signed by {verdict.key_id}{trust}"
    return "\n".join([of, *_chain(verdict), f"sha256 {verdict.sha256}"])


def _paper(paper: Paper | None) -> Iterator[str]:
    if paper is None:
        yield "no PDF lies beside it"
    elif paper.stamped_at is None:
        yield f"{paper.path} says the same, signed at {paper.signed_at}, without a timestamp of a third party"
    else:
        yield f"{paper.path} says the same, signed at {paper.stamped_at} at the latest, by a third party's timestamp"


def _chain(verdict: First | Second | Addition) -> Iterator[str]:
    if isinstance(verdict, Second):
        yield f"the {verdict.copies_expired} copies that {verdict.first_sha256} named have expired, as was declared"
        yield from _paper(verdict.paper)
        return
    yield from _paper(verdict.paper)
    if isinstance(verdict, Addition):
        yield f"the addendum number {verdict.number} to {verdict.first_sha256}: {_waits(verdict.retained)}"
    yield f"{verdict.journal_entries} decisions, each sealed with the one before, up to {verdict.journal_head}"
    if isinstance(verdict, Addition):
        return
    if verdict.retained or verdict.addenda:
        yield f"laws kept {verdict.retained} rows, which are listed; {_since(verdict)}"
    if verdict.second is not None:
        yield f"its second certificate is good, too: {verdict.second.copies_expired} further copies have expired"
    elif verdict.stage == "production":
        yield "copies are named in it that were still to expire; its second certificate isn't here"


def _since(verdict: First) -> str:
    if not verdict.addenda:
        return "no addendum is here"
    return f"by the last of {len(verdict.addenda)} good addenda {_waits(verdict.addenda[-1].retained)}"


def _waits(rows: int) -> str:
    return f"{rows} rows still wait for their time" if rows else "all of them are gone"
