"""The certificate for people says what its JSON says, in the customer's language, as a paper that keeps."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import select
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pypdf import PdfReader
from retention_facts import CLOSED, answer, facts, reading

from services.retention.certificate import Certificate, certificate_of, document
from services.retention.paper import paper_of
from services.retention.press import Order, Press, Printed
from services.retention.tasks import CopyToExpire, Upgrade
from services.retention.upgrade import SecondStage, second_document
from services.retention.words import FIELDS, TONGUES, Tongue, named, tongue
from shared.clock import system_clock
from shared.events.vocabulary import TableCount
from shared.signing.keys import make_keys, rotate_keys
from shared.signing.paper import TimestampMissingError, check_paper
from shared.signing.paperkeys import PaperKeys

COPIES = (CopyToExpire(copy_name="dumps", of="platform-database", expires_at=CLOSED + timedelta(days=30)),)
LONG = "x" * 58 + ":" + "y" * 58


def body() -> bytes:
    """Give a certificate with all that one can say: many tables, a hold, a copy, long ids."""
    many = tuple(TableCount(table=f"table_{number}", rows=number) for number in range(120))
    return document(
        certificate_of(
            facts(
                copies=COPIES,
                deletion_id=f"deletion:{LONG}",
                answers=(answer().model_copy(update={"deleted": many}), answer(holder="media")),
                after=(reading(0), reading(0, "media")),
            )
        )
    )


def set_paper(data: bytes, language: Tongue = "en", name: str = "certificate.json") -> bytes:
    return paper_of(data, name, hashlib.sha256(data).hexdigest(), language, CLOSED, stamped=False)


def words(paper: bytes) -> str:
    text = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(paper)).pages)
    return re.sub(r"[\s\u200b]", "", text)


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for one in value.values():
            yield from leaves(one)
    elif isinstance(value, list):
        for one in value:
            yield from leaves(one)
    else:
        yield value


def shown(value: Any) -> str:
    """Say how people read *value*."""
    if value is None or isinstance(value, bool):
        return {None: "-", True: "yes", False: "no"}[value]
    text = str(value)
    if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text):
        text = f"{text[:10]} {text[11:19]} UTC"
    return text[:16] if re.fullmatch("[0-9a-f]{17,}", text) else text


def test_all_that_the_json_says_is_in_the_paper() -> None:
    """Every value of the JSON, however deep, can be read in the paper, and the digest as a whole."""
    data = body()
    text, said = words(set_paper(data)), json.loads(data)
    told = {key: value for key, value in said.items() if key not in ("about", "format")}
    missing = [one for one in leaves(told) if shown(one).replace(" ", "") not in text]

    assert missing == []
    assert hashlib.sha256(data).hexdigest() in text


def test_nothing_is_in_the_paper_that_the_json_does_not_say() -> None:
    """Without the words that every paper has, no letter is left but those of the JSON's values."""
    data = body()
    blocks = words(set_paper(data)).split("thewordofwhoeverholdsthekey.")[1]
    values = list(leaves(json.loads(data)))
    known = {shown(one) for one in values} | {str(one) for one in values} | {one[0] for one in FIELDS.values()}
    known |= {"Field", "Value", "none", "…", "Certificate of deletion"}
    for one in sorted((one.replace(" ", "") for one in known if one), key=len, reverse=True):
        blocks = blocks.replace(one, "|")
    left = re.sub(r"[|,/]", "", blocks)

    assert not re.search("[A-Za-z]{3}", left), left


def test_it_speaks_the_customer_s_language() -> None:
    """Swedish for whom the contract says so, with every heading in it; English for all others."""
    assert [tongue(one) for one in ("sv", "sv-FI", "en", "de", None)] == ["sv", "sv", "en", "en", "en"]
    text = words(set_paper(body(), "sv"))

    assert "Intygomradering" in text
    assert "Kundeninformerades" in text
    assert not any(re.sub(r"\s", "", english) in text for english in ("Customer was informed", "Legal holds", "Field"))
    catalogue = PdfReader(io.BytesIO(set_paper(body(), "sv"))).trailer["/Root"]
    assert catalogue["/Lang"] == "sv"


def fields(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield name
        yield from (deep for part in models(field.annotation) for deep in fields(part))


def models(kind: Any) -> Iterator[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for part in get_args(kind):
        yield from models(part)


def test_every_field_has_a_word_in_each_language() -> None:
    """A field that is added to the certificate without a word for people is found here."""
    wordless = {*fields(Certificate), *fields(SecondStage)} - FIELDS.keys() - {"format"}

    assert wordless == set()
    assert all(len(words) == len(TONGUES) and all(words) for words in FIELDS.values())
    assert named("unheard_of", "sv") == "unheard_of"


def test_it_is_archival_and_tagged_and_always_the_same() -> None:
    """PDF/A-2a and PDF/UA-1 are claimed and there is a structure; the same JSON gives the same bytes."""
    paper = set_paper(body())
    reader = PdfReader(io.BytesIO(paper))
    catalogue = reader.trailer["/Root"]
    metadata = catalogue["/Metadata"].get_object().get_data().decode()

    assert catalogue["/MarkInfo"]["/Marked"]
    assert "/StructTreeRoot" in catalogue
    assert all(claim in metadata for claim in ("<pdfaid:part>2<", "<pdfaid:conformance>A<", "<pdfuaid:part>1<"))
    assert paper == set_paper(body())


def test_the_second_certificate_has_a_paper_too() -> None:
    """It names the first one's digest and the copies that have expired."""
    task = Upgrade(
        customer_id="acme",
        deletion_id="deletion:acme/1",
        attempt=1,
        certificate="s3://certificates/acme/certificate.json",
        certificate_sha256="7" * 64,
        copies=COPIES,
    )
    text = words(set_paper(second_document(task), name="upgrade.json"))

    assert "Secondcertificateofdeletion" in text
    assert "7" * 64 in text
    assert "dumps" in text


@pytest.fixture
def order(tmp_path: Path) -> Order:
    make_keys(tmp_path / "keys")
    data = body()
    keys, digest = PaperKeys.load(tmp_path / "keys"), hashlib.sha256(data).hexdigest()
    return Order(data, "certificate.json", digest, "sv", CLOSED, system_clock(), keys, None, None)


async def test_a_paper_that_is_kept_stays(order: Order, tmp_path: Path) -> None:
    """A second try keeps the paper that is stored, also after a rotation; an altered one is replaced."""
    press = Press()
    first = await press.printed(order)
    rotate_keys(tmp_path / "keys", system_clock())
    later = replace(order, keys=PaperKeys.load(tmp_path / "keys"), kept=first.body)
    other = replace(order, document=document(certificate_of(facts())), sha256="0" * 64)

    assert await press.printed(later) == first
    assert (await press.printed(replace(later, kept=first.body[:-1]))).body != first.body
    made = await press.printed(replace(other, kept=first.body))
    assert check_paper(made.body, order.keys.roots, b"", CLOSED).sha256 == "0" * 64


async def test_a_press_that_is_killed_is_begun_again(order: Order) -> None:
    """The task fails and is tried again, and then there is a paper."""
    press = Press()
    first = await press.printed(order)
    assert press._process._pool is not None
    for process in list(press._process._pool._processes.values()):
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    again: Printed | None = None
    try:
        again = await press.printed(order)
    except Exception:
        again = await press.printed(order)

    assert again.body[:1000] == first.body[:1000]


async def test_what_cannot_be_stamped_is_not_made(order: Order) -> None:
    """Where timestamps are asked for and the authority is away there is no paper; the error crosses to the service."""
    with pytest.raises(TimestampMissingError, match="set no timestamp"):
        await Press().printed(replace(order, authority="http://127.0.0.1:9/"))


KILLED = textwrap.dedent("""
    import asyncio, hashlib, os, signal, sys
    from pathlib import Path
    from services.retention.press import Order, Press
    from shared.clock import system_clock
    from shared.signing.keys import make_keys
    from shared.signing.paperkeys import PaperKeys

    if __name__ == "__main__":
        keys, data, now = Path(sys.argv[1]), b"{}", system_clock()
        make_keys(keys)
        digest = hashlib.sha256(data).hexdigest()
        press = Press()
        order = Order(data, "certificate.json", digest, "en", now, now, PaperKeys.load(keys), None, None)
        asyncio.run(press.printed(order))
        print(*press._process._pool._processes, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
""")


def test_a_press_does_not_outlive_a_service_that_was_killed(tmp_path: Path) -> None:
    """Its process ends by itself, so that no killed worker leaves one behind."""
    script = tmp_path / "service.py"
    script.write_text(KILLED)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, script, tmp_path / "keys"]
    # Into a file: a pipe would be open for as long as anybody has it.
    with (tmp_path / "pid").open("w") as told:
        subprocess.run(command, stdout=told, stderr=subprocess.DEVNULL, env=environment)
    try:
        press = os.pidfd_open(int((tmp_path / "pid").read_text()))
    except ProcessLookupError:
        return
    assert select.select([press], [], [], 30)[0]


SERVICE = textwrap.dedent("""
    import asyncio, sys
    from services.retention.app import app
    heavy = [name for name in ("pyhanko", "typst", "asn1crypto", "lxml") if name in sys.modules]
    print(heavy)
""")


def test_a_service_that_signs_nothing_loads_nothing_for_it() -> None:
    """Neither the compiler nor the signatures' library is loaded by the service itself."""
    done = subprocess.run([sys.executable, "-c", SERVICE], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
