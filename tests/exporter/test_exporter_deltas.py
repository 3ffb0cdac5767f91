"""A delta is told, linked to, sent and deleted as what it is: something that is nothing without its base."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from services.exporter.link import NoLinkError, grant
from services.exporter.states import Copy, Delta, Keeping, State
from services.exporter.tasks import BuildArchive, DeleteArchives, DeliverExport, RevokeLinks
from shared.decision import Outcome, Task
from shared.events.exporter import (
    ConfirmationAccepted,
    ConfirmationRejected,
    DeliveryFailed,
    DeltaReady,
    ExportDeleted,
    ExportDelivered,
    ExportFailed,
    ExportReady,
    ExportRefused,
    LinkRevocationFailed,
    LinksRevoked,
)
from shared.events.platform import (
    DeletionAcknowledged,
    ExportRequested,
    LinkRevocationRequested,
)
from shared.statecodec import StateCodec
from tests.casework import Casework, at
from tests.exporter.language import (
    CLOSES,
    OVER,
    POLICY,
    agreed,
    arrived,
    built,
    command,
    confirmed,
    contract,
    deliver,
    delta_built,
    expired,
    in_window,
    not_built,
    outcome_of,
    performed,
    request,
    terminated,
)

AGE = f"age1{'q' * 58}"


def asked(since: str, request_id: str = "r2", **changed: object) -> ExportRequested:
    return request(OVER, request_id).model_copy(update={"since": since, **changed})


def exported(**changed: object) -> tuple[Casework, ExportReady]:
    """Give a customer that has an archive."""
    work = in_window()
    work.tell(request(OVER).model_copy(update=changed))
    work.perform(performed)
    return work, work.one(ExportReady)


def ready(**changed: object) -> tuple[Casework, ExportReady, DeltaReady]:
    """Give a customer that has an archive, and a delta against it."""
    work, base = exported(**changed)
    work.tell(asked(base.export_id, **changed))
    work.perform(performed)
    return work, base, work.one(DeltaReady)


def revoke(export_id: str) -> LinkRevocationRequested:
    return LinkRevocationRequested(
        customer_id="acme", request_id="q1", export_id=export_id, requested_by="staff-1", requested_at=OVER
    )


def ordered(work: Casework) -> BuildArchive:
    task = work.ordered.pop(0)[1]
    assert isinstance(task, BuildArchive)
    return task


def test_it_is_told_by_an_event_of_its_own_and_says_of_what_it_is() -> None:
    """Who knows no deltas hears of no new archive: there is one ExportReady, that of the base."""
    work, base, said = ready()

    assert [event.type() for _, event in work.published] == ["ExportReady", "DeltaReady"]
    assert (said.base.export_id, said.base.sha256, said.base.snapshot_at) == (
        base.export_id,
        base.sha256,
        base.snapshot_at,
    )
    assert (said.request_id, said.volumes[-1].sha256, said.available_until) == ("r2", "d" * 64, CLOSES)
    assert said.export_id != base.export_id
    assert [copy.export_id for copy in work.state.known.archives] == [base.export_id]
    assert [delta.base_id for delta in work.state.known.deltas] == [base.export_id]


def test_the_second_try_is_against_the_same_base() -> None:
    """What is ordered names all of the base: its volumes, as they were announced, and its map."""
    work, base = exported(volume_size=1 << 16)
    work.tell(asked(base.export_id))
    first = ordered(work)
    work.tell(not_built(first, "not_read_back"))
    again = ordered(work)

    assert first.since is not None
    assert again == first.model_copy(update={"attempt": 2})
    assert [(one.place, one.sha256) for one in first.since.volumes] == [(one.place, one.sha256) for one in base.volumes]
    assert (first.since.export_id, first.since.map_sha256) == (base.export_id, base.map_sha256)


def test_what_an_older_release_has_built_is_all_of_it() -> None:
    """It knows no deltas, and makes a full archive: that is what is told."""
    work, base = exported()
    work.tell(asked(base.export_id))
    work.tell(built(ordered(work)))

    assert [one.request_id for one in work.all(ExportReady)] == ["r1", "r2"]
    assert work.all(DeltaReady) == []
    assert work.state.known.deltas == ()


def test_an_older_release_that_has_written_the_case_does_not_make_an_archive_of_it() -> None:
    """It drops what it doesn't know, also that a delta was ordered: the outcome itself says what it is."""
    work, base = exported()
    work.tell(asked(base.export_id))
    task = ordered(work)
    known = work.state.known
    forgotten = replace(known, building=tuple(replace(one, since="") for one in known.building))
    work.case = replace(work.case, state=Keeping(forgotten))
    work.tell(delta_built(task))

    assert len(work.all(ExportReady)) == 1
    assert work.one(DeltaReady).base.export_id == base.export_id


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "base_encrypted": ({"encrypt_to": (AGE,)}, {"encrypt_to": (AGE,)}),
    "base_other_scope": ({"scope": ("user",)}, {}),
    "base_other_formats": ({"formats": ("csv",)}, {"formats": ("csv", "pdf")}),
    "base_other_language": ({"language": "sv"}, {}),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_a_base_of_something_else_is_none(reason: str) -> None:
    """Nothing is ordered, and a full one can be had at once."""
    first, then = REFUSED[reason]
    work, base = exported(**first)
    work.tell(asked(base.export_id, **then))

    assert (work.one(ExportRefused).reason, work.one(ExportRefused).closed_on) == (reason, None)
    assert work.ordered == []
    work.tell(request(OVER, "r3").model_copy(update=then))
    work.perform(performed)
    assert len(work.all(ExportReady)) == 2


def test_the_order_in_which_it_was_asked_for_is_no_difference() -> None:
    """Formats and kinds of data are sets."""
    work, base = exported(formats=("csv", "pdf"), scope=("user", "course"))
    work.tell(asked(base.export_id, formats=("pdf", "csv"), scope=("course", "user", "user")))
    work.perform(performed)

    assert work.one(DeltaReady)


def test_the_region_of_a_language_is_no_difference() -> None:
    """The page knows none, whoever asks may name one."""
    work, base = exported(language="sv-se")
    work.tell(asked(base.export_id, language="sv"))
    work.perform(performed)

    assert work.one(DeltaReady)


def test_what_is_not_ready_is_no_base() -> None:
    """One that nobody knows, one that is being built, one that came too late to be announced, and a delta."""
    work, _, delta = ready()
    work.tell(request(OVER, "r3"))
    building = ordered(work).export_id
    for number, since in enumerate(("nobody-knows-it", building, delta.export_id)):
        work.tell(asked(since, f"d{number}"))
    known = work.state.known
    late = replace(known.archives[0], export_id="late", announced=False)
    work.case = replace(work.case, state=Keeping(replace(known, archives=(*known.archives, late))))
    work.tell(asked("late", "d3"))

    reasons = ["base_unknown", "base_not_ready", "base_is_delta", "base_unknown"]
    assert [one.reason for one in work.all(ExportRefused)] == reasons
    assert [one.request_id for one in work.all(ExportRefused)] == ["d0", "d1", "d2", "d3"]
    assert work.ordered == []


def test_another_customers_is_unknown() -> None:
    """A case knows its own exports alone."""
    work, _ = exported()
    work.tell(asked("an-export-of-beta"))

    assert work.one(ExportRefused).reason == "base_unknown"


def test_one_of_an_earlier_window_is_no_base() -> None:
    """The customer came back, and left again: what it has from before is of another case."""
    work, base = exported()
    back = at("2027-02-01T00:00")
    work.until(back)
    work.tell(contract("c2", back.date().replace(year=2028)))
    work.until(at("2028-02-02T00:00"))
    work.tell(terminated("c2", work.now).model_copy(update={"period_end": work.now.date()}))
    work.tell(asked(base.export_id).model_copy(update={"requested_at": work.now}))

    assert work.one(ExportRefused).reason == "base_of_earlier_window"


@pytest.mark.parametrize("missing", ["formats", "language", "encrypted", "snapshot_at", "sha256"])
def test_one_of_which_too_little_was_kept_is_no_base(missing: str) -> None:
    """A release of before this one has built it."""
    work, base = exported()
    known = work.state.known
    old = replace(known.archives[0], **{missing: "" if missing == "sha256" else None})
    work.case = replace(work.case, state=Keeping(replace(known, archives=(old,))))
    work.tell(asked(base.export_id))

    assert work.one(ExportRefused).reason == "base_not_comparable"


def test_one_of_another_map_is_refused_as_soon_as_that_is_known() -> None:
    """Only who builds reads the map; it isn't tried again, since a full one can be had."""
    work, base = exported()
    work.tell(asked(base.export_id))
    work.tell(not_built(ordered(work), "base_other_map"))

    assert (work.one(ExportRefused).reason, work.one(ExportRefused).request_id) == ("base_other_map", "r2")
    assert work.ordered == []
    assert work.all(ExportFailed) == []
    assert work.state.known.building == ()


def test_a_base_that_can_not_be_read_is_tried_again_and_told() -> None:
    """Its links may just have been taken back; if it stays so, that is the answer."""
    work, base = exported()
    work.tell(asked(base.export_id))
    for _ in range(POLICY.attempts):
        work.tell(not_built(ordered(work), "unusable_base"))

    assert (work.one(ExportFailed).reason, work.one(ExportFailed).attempts) == ("unusable_base", POLICY.attempts)


def test_outside_the_window_it_is_refused_as_any_other() -> None:
    """With the date, and whatever it names."""
    work, base = exported()
    work.until(CLOSES)
    work.tell(asked(base.export_id).model_copy(update={"requested_at": CLOSES}))

    assert work.one(ExportRefused).reason == "window_closed"
    assert work.one(ExportRefused).closed_on is not None


@pytest.mark.parametrize("which", ["0" * 64, "d" * 64])
def test_it_confirms_nothing(which: str) -> None:
    """Neither by its own digest nor by its base's; the base still can be (P10)."""
    work, base, delta = ready()
    work.tell(confirmed(delta.export_id, which))
    assert work.one(ConfirmationRejected).reason == "is_delta"
    assert work.ordered == []
    work.tell(confirmed(base.export_id))
    work.perform(performed)

    assert work.one(ConfirmationAccepted).export_id == base.export_id


def test_a_link_is_given_to_it_by_name_and_to_its_base() -> None:
    """The newest, unnamed, is an archive; a delta is never given without what it needs."""
    work, base, delta = ready(volume_size=1 << 16)
    newest, named = (grant(work.state, one, OVER, POLICY) for one in (None, delta.export_id))

    assert [one.export_id for one in newest.copies] == [base.export_id]
    assert [one.export_id for one in named.copies] == [base.export_id, delta.export_id]
    assert [len(one.volumes) for one in named.copies] == [3, 3]
    with pytest.raises(NoLinkError, match=f"There are: {base.export_id}, {delta.export_id}"):
        grant(work.state, "another", OVER, POLICY)


@pytest.mark.parametrize("which", ["base", "delta"])
def test_no_link_is_given_while_those_to_either_are_taken_back(which: str) -> None:
    """One of the two would lead nowhere soon."""
    work, base, delta = ready()
    work.tell(revoke(base.export_id if which == "base" else delta.export_id))

    with pytest.raises(NoLinkError, match="being taken back"):
        grant(work.state, delta.export_id, OVER, POLICY)


def test_links_to_it_are_taken_back() -> None:
    """Of the delta alone, and where it lies then is remembered; it is a delta still."""
    work, base, delta = ready(volume_size=1 << 16)
    work.tell(revoke(delta.export_id))
    (order,) = (one for _, one in work.ordered)
    assert isinstance(order, RevokeLinks)
    work.perform(performed)

    assert (work.one(LinksRevoked).export_id, work.one(LinksRevoked).before) == (
        delta.export_id,
        ("v1-1.1", "v1-2.1"),
    )
    (one,) = work.state.known.deltas
    assert [volume.version for volume in one.copy.volumes] == ["v1-1.1", "v1-2.1", "v1.1"]
    assert [volume.version for volume in work.state.known.archives[0].volumes] == ["v1-1", "v1-2", "v1"]
    assert one.base_id == base.export_id


def test_links_that_would_outlive_the_window_are_taken_back_from_both() -> None:
    """The customer came back, and has no window any more."""
    work, base, delta = ready()
    work.tell(contract("c2", OVER.date().replace(year=2028)))
    revoked = {one.export_id for _, one in work.ordered if isinstance(one, RevokeLinks)}

    assert revoked == {base.export_id, delta.export_id}


def test_its_base_is_delivered_before_it() -> None:
    """What lies at the destination is complete, and so it is told."""
    work, base, delta = ready(volume_size=1 << 16)
    work.tell(agreed(), deliver(delta.export_id))
    order = work.ordered[-1][1]
    assert isinstance(order, DeliverExport)
    assert order.base is not None
    assert [one.place for one in order.base.volumes] == [one.place for one in base.volumes]
    work.perform(performed)
    said = work.one(ExportDelivered)

    assert (said.export_id, said.volumes, said.with_base, said.sha256) == (
        delta.export_id,
        6,
        base.export_id,
        "d" * 64,
    )


def test_an_archive_is_delivered_without_any_delta() -> None:
    """It needs none."""
    work, base, _ = ready()
    work.tell(agreed(), deliver(base.export_id))
    work.perform(performed)

    assert (work.one(ExportDelivered).with_base, work.one(ExportDelivered).volumes) == (None, 1)


def test_what_an_older_release_has_delivered_of_it_is_not_all() -> None:
    """It knows no bases, and has sent the delta alone."""
    work, _, delta = ready()
    work.tell(agreed(), deliver(delta.export_id))
    work.tell(arrived(work.ordered.pop()[1]).model_copy(update={"volumes": 1}))

    assert (work.one(DeliveryFailed).reason, work.one(DeliveryFailed).left_behind) == ("not_all", "object")


@pytest.mark.parametrize("first", ["base", "delta"])
def test_what_is_on_its_way_there_is_not_sent_beside_it(first: str) -> None:
    """A delta and its base to one destination: the two would drop each other's parts of the base."""
    work, base, delta = ready()
    both = [base.export_id, delta.export_id]
    one, other = both if first == "base" else reversed(both)
    work.tell(agreed(), deliver(one, "d1"), deliver(other, "d2"), deliver(other, "d3", "own-store"))

    assert (work.one(DeliveryFailed).request_id, work.one(DeliveryFailed).reason) == ("d2", "under_way")
    assert [task.export_id for _, task in work.ordered if isinstance(task, DeliverExport)] == [one, other]


def test_it_is_deleted_with_its_base() -> None:
    """The command names both, and what goes first: all volumes of the delta; that both are gone is said of each."""
    work, base, delta = ready(volume_size=1 << 16)
    work.until(CLOSES)
    work.tell(expired(), command())
    deleting: list[DeleteArchives] = []

    def seen(task: Task) -> Outcome:
        deleting.extend([task] if isinstance(task, DeleteArchives) else [])
        return performed(task)

    work.perform(seen)

    assert [one.export_id for one in deleting[0].archives] == [base.export_id, delta.export_id]
    (first,) = deleting[0].deltas
    assert (*first.before, first.place) == tuple(one.place for one in delta.volumes)
    assert {one.export_id for one in work.all(ExportDeleted)} == {base.export_id, delta.export_id}
    assert outcome_of(work.one(DeletionAcknowledged)) == "erased"
    assert work.state.known.copies == ()


def test_a_deletion_waits_for_one_that_is_being_built() -> None:
    """And takes it along; nobody is told that it is ready."""
    work, base = exported()
    work.tell(asked(base.export_id))
    task = ordered(work)
    work.until(CLOSES)
    work.tell(expired(), command())
    assert not any(isinstance(one, DeleteArchives) for _, one in work.ordered)
    work.perform(performed)
    work.tell(delta_built(task))
    work.perform(performed)

    assert work.one(ExportFailed).reason == "deletion_requested"
    assert work.all(DeltaReady) == []
    assert len(work.all(ExportDeleted)) == 2


def test_one_that_comes_too_late_is_given_to_nobody() -> None:
    """It was read after the window had closed; it goes with the others."""
    work, base = exported()
    work.tell(asked(base.export_id))
    task = ordered(work)
    work.until(CLOSES)
    work.tell(delta_built(task, CLOSES))

    assert work.one(ExportFailed).reason == "window_closed"
    assert work.all(DeltaReady) == []
    assert [one.copy.announced for one in work.state.known.deltas] == [False]
    work.tell(confirmed(task.export_id, "d" * 64))
    assert work.all(ConfirmationRejected)[-1].reason == "unknown_export"


def test_without_its_base_it_is_announced_to_nobody() -> None:
    """Whatever became of that: half of it is nothing."""
    work, base = exported()
    work.tell(asked(base.export_id))
    task = ordered(work)
    work.case = replace(work.case, state=Keeping(replace(work.state.known, archives=())))
    work.tell(delta_built(task))

    assert work.one(ExportFailed).reason == "base_gone"
    assert work.all(DeltaReady) == []
    assert [one.copy.announced for one in work.state.known.deltas] == [False]


def test_without_its_base_it_is_given_to_nobody() -> None:
    """Announced as it was: neither linked to, nor sent, nor taken back."""
    work, _, delta = ready()
    work.case = replace(work.case, state=Keeping(replace(work.state.known, archives=())))
    work.tell(agreed(), deliver(delta.export_id), revoke(delta.export_id))

    assert work.one(DeliveryFailed).reason == work.one(LinkRevocationFailed).reason == "unknown_export"
    with pytest.raises(NoLinkError, match="No archive is ready"):
        grant(work.state, delta.export_id, OVER, POLICY)


def test_tried_again_without_its_base_it_is_given_up() -> None:
    """What was ordered as a delta is never made as something else."""
    work, base = exported()
    work.tell(asked(base.export_id))
    task = ordered(work)
    work.case = replace(work.case, state=Keeping(replace(work.state.known, archives=())))
    work.tell(not_built(task))

    assert work.one(ExportFailed).reason == "base_gone"
    assert work.ordered == []


def test_unencrypted_it_is_given_to_nobody_who_asked_for_a_key() -> None:
    """Its base is plain; the delta was to be for one alone."""
    work, base = exported()
    work.tell(asked(base.export_id, encrypt_to=(AGE,)))
    work.tell(delta_built(ordered(work)).model_copy(update={"encrypted_to": ()}))

    assert work.one(ExportFailed).reason == "not_encrypted"


@pytest.mark.parametrize("since", ["", " ", "a b", "x" * 129, 7])
def test_what_is_no_name_is_no_request(since: object) -> None:
    """It becomes a dead letter that names the field."""
    with pytest.raises(ValidationError):
        ExportRequested.model_validate(request(OVER).model_dump() | {"since": since})


def test_a_case_of_before_is_read() -> None:
    """A release that knew no deltas wrote none."""
    codec = StateCodec[State](State)
    state = codec.load(
        '{"kind": "keeping", "known": {"archives": [{"export_id": "e1", "place": "s3://b/acme/e1.zip"}]}}'
    )
    with_one = Keeping(replace(state.known, deltas=(Delta(Copy("e2", "s3://b/acme/e2.zip"), "e1"),)))

    assert (state.known.deltas, state.known.archives[0].formats) == ((), None)
    assert codec.load(codec.dump(with_one)) == with_one
