"""Copies that expire by themselves: the certificate names them, and a second one follows when the last has expired."""

from __future__ import annotations

from datetime import timedelta

from services.retention.domain import decide
from services.retention.policy import BackupPolicy, RetentionPolicy
from services.retention.states import Closed, Serving
from services.retention.tasks import Certify, Upgrade, Upgraded
from shared.decision import Ignored, Outcome, Task
from shared.events.retention import AccountClosed, ErasureUpgraded
from tests.casework import Casework
from tests.retention.language import CLOSES, DAY, DELETION, POLICY, answers_of, contract, deleting, performed

DUMPS = BackupPolicy(name="dumps", of="platform-database", kept_days=35)
TAPES = BackupPolicy(name="tapes", of="platform-media", kept_days=10)
WITH_BACKUPS: RetentionPolicy = POLICY.model_copy(update={"backups": (DUMPS, TAPES)})


def closed() -> tuple[Casework, Certify]:
    """Close an account of which there are backups."""
    tasks: list[Task] = []

    def kept(task: Task) -> Outcome:
        tasks.append(task)
        return performed(task)

    work = deleting(WITH_BACKUPS)
    work.tell(*answers_of(work))
    work.perform(kept)
    (certify,) = [task for task in tasks if isinstance(task, Certify)]
    return work, certify


def made(task: Task) -> Upgraded:
    assert isinstance(task, Upgrade)
    return Upgraded(
        customer_id="acme",
        deletion_id=task.deletion_id,
        attempt=task.attempt,
        certificate="s3://proof/acme/upgrade.json",
        certificate_sha256="1" * 64,
    )


def test_two_stages() -> None:
    """The first certificate names each copy with its end; when the last has come the second is made, once."""
    work, certify = closed()
    assert [(one.copy_name, one.expires_at) for one in certify.copies] == [
        ("dumps", CLOSES + 35 * DAY),
        ("tapes", CLOSES + 10 * DAY),
    ]
    assert work.one(AccountClosed)
    work.until(CLOSES + 35 * DAY - timedelta(seconds=1))
    assert not work.ordered
    work.until(CLOSES + 35 * DAY)
    task = work.ordered[0][1]
    work.perform(made)

    said = work.one(ErasureUpgraded)
    assert (said.deletion_id, said.first_sha256) == (DELETION, work.one(AccountClosed).certificate_sha256)
    assert decide(work.state, made(task), work.now, WITH_BACKUPS) == Ignored("no such certificate is awaited")
    work.until(CLOSES + 1000 * DAY)
    assert isinstance(work.state, Closed)
    assert len(work.all(ErasureUpgraded)) == 1


def test_back_meanwhile() -> None:
    """A customer who comes back before the copies have expired gets its second certificate all the same."""
    work, _ = closed()
    work.tell(contract("c9", period_start=(CLOSES + DAY).date(), period_end=(CLOSES + 365 * DAY).date()))
    assert isinstance(work.state, Serving)
    work.until(CLOSES + 40 * DAY)
    work.perform(made)

    assert work.one(ErasureUpgraded).deletion_id == DELETION
    assert isinstance(work.state, Serving)
