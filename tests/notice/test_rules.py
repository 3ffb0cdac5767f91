"""The rules are data with versions: decided cases keep theirs, and a version that was in force never changes."""

from __future__ import annotations

from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.notice.explain import explain
from services.notice.policy import NoticePolicy, UnknownRulesError
from services.notice.rules import REASONS, load_rules
from shared.events.notice import ContractTerminated, DeadlineApproaching, NoticeAccepted
from shared.policy import PolicyError
from tests.casework import Casework, at
from tests.notice.language import DEPLOY, POLICY, completion, contract, domain, notice

# A version that was in force is never edited: add a new file, and its digest here.
PUBLISHED = {
    "2026-11": "f7d887030ba62ce472f98e9ff13a2f8f8e39abb1c47ddbaf7479cb288a4cc81c",
    "2026-12": "94a8cc8652096fd301fef72da7ae2653f3fc066fc021ed5381d21dc43ba8a0ca",
}


def with_shorter_transition() -> NoticePolicy:
    """Put a second version in force, by which a transition has 10 days and nobody is told 60 days ahead."""
    old = POLICY.in_force
    switching = old.switching.model_copy(update={"transition_days": 10})
    told = old.announce_before.model_copy(update={"transition_end": (7,)})
    new = old.model_copy(update={"switching": switching, "announce_before": told})
    return POLICY.model_copy(update={"rules": "2027-01", "rule_sets": {**POLICY.rule_sets, "2027-01": new}})


def written(folder: Path, **changes: Any) -> Path:
    rules = yaml.safe_load((DEPLOY / "rules" / f"{POLICY.rules}.yaml").read_text(encoding="utf-8"))
    for path, value in changes.items():
        *parents, name = path.split("__")
        part = rules
        for parent in parents:
            part = part[parent]
        if value is ...:
            del part[name]
        else:
            part[name] = value
    (folder / "x.yaml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    return folder


def test_a_published_version_never_changes() -> None:
    """Each file is what it was when it was put in force."""
    found = {path.stem: sha256(path.read_bytes()).hexdigest() for path in (DEPLOY / "rules").glob("*.yaml")}

    assert found == PUBLISHED


def test_a_case_keeps_its_rules() -> None:
    """A notice that was judged by one version is reckoned by it for good; the next one by the version then in force."""
    work = Casework(domain(POLICY), at("2026-06-08T12:00"))
    work.tell(contract(months=12), notice("2026-06-08T12:00", ground="switch"))
    work.domain = domain(with_shorter_transition())
    work.tell(contract(months=12, revision=2, language="sv"))
    work.tell(contract(months=12, contract_id="c2"), notice("2026-06-08T12:00", contract_id="c2", ground="switch"))
    work.until(at("2026-12-01T00:00"))

    assert [one.rules for one in work.all(NoticeAccepted)] == ["2026-12", "2027-01"]
    assert {one.contract_id: one.period_end for one in work.all(ContractTerminated)} == {
        "c1": date(2026, 8, 7),
        "c2": date(2026, 7, 18),
    }
    assert [one.rules for one in explain(work.state, work.domain.policy, work.now).contracts] == ["2026-12", "2027-01"]


def test_a_version_that_is_gone() -> None:
    """A case whose rules are no longer there isn't decided by others: it is told which to put back."""
    with pytest.raises(UnknownRulesError, match="2020-01"):
        POLICY.rules_of("2020-01")


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("language", ["en", "sv"])
def test_each_reason_has_its_sentence(reason: str, language: str) -> None:
    """Every refusal is a sentence of its own, in each language of the rules."""
    sentences = POLICY.in_force.sentences[language]

    assert sentences[reason].endswith(".")
    assert list(sentences.values()).count(sentences[reason]) == 1


@pytest.mark.parametrize(("language", "begins"), [("sv", "En "), ("sv-SE", "En "), ("fi", "A "), (None, "A ")])
def test_the_language_of_the_contract(language: str | None, begins: str) -> None:
    """A refusal is told in the contract's language if the rules have it, else in English."""
    assert POLICY.in_force.sentence("not_in_writing", language).startswith(begins)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"country": ...}, "country: Field required"),
        ({"switching__notice_months": 3}, "switching.notice_months: "),
        ({"switching__transition_days": None}, "switching.transition_days: "),
        ({"announce_before__transition_end": ...}, "announce_before.transition_end: "),
        ({"mood": "good"}, "mood: "),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    """A missing, unknown or senseless value stops the service before it starts, with the file and the field."""
    with pytest.raises(PolicyError) as caught:
        load_rules(written(tmp_path, **changes))

    assert f"x.yaml: {named}" in str(caught.value) or (named in str(caught.value) and "x.yaml" in str(caught.value))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"laws__art_25_4": ...}, "lacks laws.art_25_4"),
        ({"sentences__sv__late": ...}, "lacks sentences.sv.late"),
        ({"sentences__en": ...}, "lacks sentences.en."),
    ],
)
def test_rules_without_a_text_are_never_in_force(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    """A rule set that lacks a text can't be put in force; one that was before there was such a text stays."""
    policy = yaml.safe_load((DEPLOY / "policy.yaml").read_text(encoding="utf-8"))["notice"]
    rule_sets = {**load_rules(written(tmp_path, **changes)), **POLICY.rule_sets}

    with pytest.raises(ValueError, match=f"rule set x {named}"):
        NoticePolicy(**{**policy, "version": "v", "rules": "x", "rule_sets": rule_sets})
    assert NoticePolicy(**{**policy, "version": "v", "rule_sets": rule_sets})


def test_a_clause_that_the_rules_of_then_did_not_know() -> None:
    """A case decided before a clause was there is explained with its own texts, and that clause as it is in force."""
    old = POLICY.model_copy(update={"rules": "2026-11"})
    work = Casework(domain(old), at("2026-06-08T12:00"))
    work.tell(contract(months=12), notice("2026-06-08T12:00", ground="switch"))
    work.domain = domain(POLICY)
    work.until(at("2026-07-20T12:00"))
    work.tell(completion("2026-07-20T11:00"))
    told = explain(work.state, POLICY, work.now)

    assert [one.rules for one in told.contracts] == ["2026-11"]
    assert told.laws["art. 25(2)(c)(i)"] == POLICY.in_force.laws["art_25_2_c_i"]


def test_rules_that_are_not_there(tmp_path: Path) -> None:
    """A policy that names a version without a file is refused, with those that there are."""
    policy = yaml.safe_load((DEPLOY / "policy.yaml").read_text(encoding="utf-8"))["notice"]

    with pytest.raises(ValueError, match="there is no rule set 2030-01, only 2026-11, 2026-12"):
        NoticePolicy(**{**policy, "version": "v", "rules": "2030-01", "rule_sets": POLICY.rule_sets})


def test_each_date_has_its_own_plan() -> None:
    """The end of a transition is told as its plan says, the end of a period as its own."""
    work = Casework(domain(with_shorter_transition()), at("2026-06-08T12:00"))
    work.tell(contract(months=12), notice("2026-06-08T12:00", ground="switch"))
    work.tell(contract(contract_id="c2"), notice("2026-06-08T12:00", contract_id="c2"))
    work.until(at("2027-01-02T00:00"))

    told = [one.announcement_id for one in work.all(DeadlineApproaching)]
    assert told == [
        "c1:transition_end:2026-07-18:7",
        *(f"c2:period_end:2026-12-31:{days}" for days in (60, 30, 7, 1)),
    ]
