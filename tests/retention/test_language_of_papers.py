"""The certificate is ordered in the language that the customer's contract names."""

from __future__ import annotations

from datetime import timedelta

from services.retention.tasks import Certify, Upgrade
from shared.contracts import language_of, registered, terminated
from shared.decision import Outcome, Task
from tests.retention.language import CLOSES, DAY, OVER, answers_of, contract, deleting, performed
from tests.retention.language import terminated as ended
from tests.retention.test_expiry import WITH_BACKUPS, made


def test_both_certificates_speak_the_contract_s_language() -> None:
    """The first and the second are ordered in the contract's language, whichever revision named it."""
    tasks: list[Task] = []

    def kept(task: Task) -> Outcome:
        tasks.append(task)
        return made(task) if isinstance(task, Upgrade) else performed(task)

    work = deleting(WITH_BACKUPS)
    work.tell(contract(revision=2, language="sv-FI"))
    work.tell(*answers_of(work))
    work.perform(kept)
    work.until(CLOSES + 35 * DAY)
    work.perform(kept)

    assert [one.language for one in tasks if isinstance(one, Certify | Upgrade)] == ["sv-FI", "sv-FI"]


def test_of_several_contracts_the_last_one_s_language_counts() -> None:
    """The contract that ended last says it; one that names none says nothing."""
    contracts = ()
    for one in (contract("a", language="en"), contract("b", language="sv"), contract("c")):
        contracts = registered(contracts, one) or contracts
    assert language_of(contracts) == "en"
    for name, days in (("a", 0), ("b", 2), ("c", 3)):
        contracts = terminated(contracts, ended(name, OVER + timedelta(days=days))) or contracts

    assert language_of(contracts) == "sv"
    assert language_of(()) is None
