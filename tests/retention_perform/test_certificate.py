"""A certificate says the truth, the same way each time, has no room for a person, and no word for what isn't gone."""

from __future__ import annotations

import hashlib
import json
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from pydantic import BaseModel
from retention_facts import CLOSED, END, answer, exported, facts, hold, reading

from services.retention import certificate
from services.retention.certificate import Certificate, certificate_of, document, folder
from services.retention.proving import NotProvenError
from services.retention.tasks import Certify, Mention, Searched
from services.retention.verifying import Asked, verify_text
from shared.events import vocabulary
from shared.events.vocabulary import Value

WORDS = [one for one in vars(vocabulary).values() if get_origin(one) is Annotated]


def of_vocabulary(kind: Any) -> bool:
    if kind in WORDS or kind in (bool, type(None)):
        return True
    if get_origin(kind) is Literal:
        return True
    if get_origin(kind) in (tuple, types.UnionType, Union):
        return all(of_vocabulary(part) for part in get_args(kind) if part is not Ellipsis)
    return isinstance(kind, type) and issubclass(kind, Value) and not list(foreign(kind))


def foreign(model: type[BaseModel]) -> Iterator[str]:
    hints = get_type_hints(model, include_extras=True)
    return (f"{model.__name__}.{name}" for name in model.model_fields if not of_vocabulary(hints[name]))


def test_a_certificate_has_no_room_for_a_person() -> None:
    """Every field of a certificate, however deep, is an id, a code, a count, a digest or a moment."""
    assert list(foreign(Certificate)) == []


def test_the_rule_would_find_a_free_text() -> None:
    """The rule does find a field of free text, at any depth."""

    class Talkative(Value):
        remark: str

    class Holding(Value):
        parts: tuple[Talkative, ...]

    # The rule resolves names in the module, where these are not.
    hints = {"parts": tuple[Talkative, ...]}
    assert list(foreign(Talkative)) == ["Talkative.remark"]
    assert not of_vocabulary(hints["parts"])


def test_the_same_facts_give_the_same_bytes() -> None:
    """Made again, after a crash and under another attempt, the certificate is the same to the last byte."""
    assert document(certificate_of(facts())) == document(certificate_of(facts(attempt=9)))


def test_it_is_canonical_json() -> None:
    """It is UTF-8 with sorted keys and one line end at its end."""
    text = document(certificate_of(facts())).decode()

    assert text.endswith("}\n")
    assert not text.endswith("\n\n")
    assert text == json.dumps(json.loads(text), sort_keys=True, ensure_ascii=False, indent=1) + "\n"


def test_it_says_what_when_and_by_whom() -> None:
    """Dates of the window, counts per holder and table, the check, holds, what was told and confirmed are all in it."""
    said = json.loads(document(certificate_of(facts())))

    assert said["window"] == {
        "terminated_at": "2026-08-01T22:00:00Z",
        "window_closed_at": "2026-10-30T22:00:00Z",
        "window_days": 90,
        "policy_version": "2026-11",
    }
    assert said["rows_deleted"] == 2
    assert said["holders"][0]["method"] == "clear"
    assert said["holders"][0]["deleted"] == [{"table": "users", "rows": 2}]
    assert said["holders"][0]["verification"]["remaining"] == [{"table": "users", "rows": 0}]
    assert said["validation"]["holders"][0]["tables"] == [
        {
            "table": "users",
            "left": 0,
            "others_before": 7,
            "others_after": 7,
            "fingerprint_before": "ab",
            "fingerprint_after": "ab",
            "fingerprint_method": 1,
            "kept": 0,
        }
    ]
    assert (said["holds"][0]["hold_id"], said["customer_informed"], said["export_confirmed"]) == ("hold-1", True, True)


def test_what_did_not_happen_is_said_too() -> None:
    """An export that was never confirmed, and an announcement that came back, are said, not passed over."""
    bounced = facts().informed[0].model_copy(update={"outcome": "bounced"})
    said = certificate_of(facts(confirmed=(), informed=(bounced,)))

    assert (said.export_confirmed, said.customer_informed) == (False, False)


@pytest.mark.parametrize(
    ("untrue", "reason"),
    [
        (facts(after=(reading(1),)), "residue"),
        (facts(after=(reading(0, kept=1),)), "residue"),
        (facts(answers=(answer(remaining=1),)), "residue"),
        (facts(answers=(answer(), answer(holder="media"))), "not_checked"),
        (facts(after=()), "not_checked"),
        (facts(answers=(), after=()), "not_checked"),
        (facts(holds=(hold(released_at=None),)), "held"),
        (facts(holds=(hold(released_at=END.replace(year=2025)),)), "held"),
    ],
)
def test_what_is_not_gone_gets_no_certificate(untrue: Certify, reason: str) -> None:
    """Something left, somebody unchecked or a hold in force: no certificate, whatever was decided."""
    with pytest.raises(NotProvenError) as refused:
        certificate_of(untrue)
    assert refused.value.reason == reason


def test_two_deletions_never_share_a_folder() -> None:
    """Ids that differ in a sign that a place can't hold still have folders of their own."""
    ids = ["a/b", "a:b", "a-b", "a.b", "a_b", "a2Fb", "a/2Fb"]

    assert len({folder("acme", one) for one in ids}) == len(ids)
    assert folder("acme", "deletion:acme/1") == "acme/deletion=3Aacme=2F1"


def test_verify_txt_names_the_digest_and_the_key() -> None:
    """VERIFY.txt has the commands, ready to paste."""
    asked = Asked("f" * 64, "SHA256:abc", "20261030220000Z", certificate.NAME, "certificate.pdf", CLOSED)
    text = verify_text(asked).decode()

    assert f'echo "{"f" * 64}  {certificate.NAME}" | sha256sum -c' in text
    assert "SHA256:abc" in text
    assert "ssh-keygen -Y verify -O verify-time=20261030220000Z -f allowed_signers -I offramp -n offramp -s" in text
    assert "openssl dgst -sha256 -verify signing.pub.pem" in text
    assert f"-attime {int(CLOSED.timestamp())}" in text
    assert "There is no timestamp by a third party" in text
    assert "timestamp_roots.pem" in verify_text(asked, stamped=True).decode()


def test_a_hold_released_later_is_over() -> None:
    """A hold whose release was heard, and one whose placing never was, are no reason to refuse."""
    never_placed = hold().model_copy(update={"placed_at": None, "released_at": None})

    assert certificate_of(facts(holds=(hold(CLOSED), never_placed))).holds[1].placed_at is None


def test_the_journal_can_be_checked_by_anybody() -> None:
    """Each seal follows from the entry and the seal before by the sentence that the certificate itself says."""
    said = json.loads(document(certificate_of(facts())))
    before = "0" * 64
    for entry in said["journal"]:
        text = json.dumps([before, entry["at"], entry["given"], entry["state"], entry["events"]], separators=(",", ":"))
        assert hashlib.sha256(text.encode()).hexdigest() == entry["seal"]
        before = entry["seal"]

    assert said["journal_head"] == before


@pytest.mark.parametrize(
    "altered",
    [
        (),
        facts().journal[1:],
        facts().journal[::-1],
        (facts().journal[0].model_copy(update={"at": CLOSED}), facts().journal[1]),
        (facts().journal[0].model_copy(update={"events": ("AccountClosed",)}), facts().journal[1]),
    ],
)
def test_an_altered_journal_gets_no_certificate(altered: tuple[Any, ...]) -> None:
    """A journal that is missing, cut, reordered or rewritten gets no certificate."""
    with pytest.raises(NotProvenError, match="journal"):
        certificate_of(facts(journal=altered))


@pytest.mark.parametrize(("rows", "since", "before"), [(1, 1, 0), (2, 0, 0), (5, 0, 3)])
def test_what_was_exported_beside_what_was_deleted(rows: int, since: int, before: int) -> None:
    """Rows in the last export and rows deleted are compared, and the difference is named in both directions."""
    symmetry = certificate_of(facts(exported=exported(rows))).symmetry

    assert symmetry is not None
    (row,) = symmetry.tables
    assert (row.exported, row.deleted, row.written_since, row.gone_before) == (rows, 2, since, before)
    assert certificate_of(facts(exported=None)).symmetry is None


def test_a_hold_that_came_to_its_end() -> None:
    """A hold that was over by its own end is no reason to refuse, and its end is said."""
    ended = hold(released_at=None).model_copy(update={"ended_at": CLOSED})

    assert certificate_of(facts(holds=(ended,))).holds[0].ended_at == CLOSED


def test_where_copies_were_found_there_is_no_certificate() -> None:
    """The customer's id in rows that are nobody's: what is to be certified isn't true."""
    found = Searched(columns=9, mentions=(Mention(table="crm_sync", column="note", rows=1),))
    copied = reading(0).model_copy(update={"searched": found})

    with pytest.raises(NotProvenError, match="platform-database crm_sync"):
        certificate_of(facts(after=(copied,)))
    assert certificate_of(facts()).validation.holders[0].searched is None
