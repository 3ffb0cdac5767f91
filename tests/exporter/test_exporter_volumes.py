"""An archive in several volumes is told, linked to, taken back, sent, confirmed and deleted as all of them, or not."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from services.exporter.states import Copy, Keeping, State, Volume
from services.exporter.tasks import BuildArchive, DeleteArchives, DeliverExport, RevokeLinks
from shared.events.exporter import (
    ConfirmationRejected,
    DeliveryFailed,
    ExportDeleted,
    ExportDelivered,
    ExportFailed,
    ExportReady,
    LinkRevocationFailed,
    LinksRevoked,
)
from shared.events.platform import DeletionAcknowledged, ExportRequested, LinkRevocationRequested
from shared.statecodec import StateCodec
from tests.casework import Casework
from tests.exporter.language import (
    CLOSES,
    OVER,
    POLICY,
    agreed,
    arrived,
    built,
    command,
    confirmed,
    deliver,
    expired,
    in_window,
    not_built,
    performed,
    replaced,
    request,
)

SIZE = 4 << 30


def asked(request_id: str = "r1", **changed: object) -> ExportRequested:
    return request(OVER, request_id).model_copy(update={"volume_size": SIZE, **changed})


def ready() -> tuple[Casework, ExportReady]:
    work = in_window()
    work.tell(asked())
    work.perform(performed)
    return work, work.one(ExportReady)


def revoke(export_id: str) -> LinkRevocationRequested:
    return LinkRevocationRequested(
        customer_id="acme", request_id="q1", export_id=export_id, requested_by="staff-1", requested_at=OVER
    )


def test_all_of_them_are_named() -> None:
    """The second try makes volumes too; ExportReady names each, and its digest and size are those of the whole."""
    work = in_window()
    work.tell(asked())
    first = work.ordered.pop(0)[1]
    work.tell(not_built(first))
    again = work.ordered.pop(0)[1]
    assert isinstance(first, BuildArchive)
    assert isinstance(again, BuildArchive)
    work.tell(built(again))
    said = work.one(ExportReady)

    assert (first.volume_size, again.volume_size) == (SIZE, SIZE)
    places = [f"s3://exports/acme/{again.export_id}.vol00{number}.zip" for number in (1, 2, 3)]
    assert [one.place for one in said.volumes] == places
    assert [one.object_version for one in said.volumes] == ["v1-1", "v1-2", "v1"]
    assert (said.sha256, said.size_bytes) == ("0" * 64, 2 * SIZE + 1000)
    (copy,) = work.state.known.archives
    assert [one.place for one in copy.volumes] == places


def test_unasked_there_is_one() -> None:
    """Whoever names no size gets one file."""
    work = in_window()
    work.tell(request(OVER))
    work.perform(performed)

    assert len(work.one(ExportReady).volumes) == 1


@pytest.mark.parametrize("size", [0, -1, (1 << 16) - 1, (5 << 40) + 1, "4GiB", 1.5])
def test_a_size_that_can_not_be_is_no_request(size: object) -> None:
    """Smaller than what a ZIP needs for itself, larger than any object."""
    with pytest.raises(ValidationError):
        ExportRequested.model_validate(request(OVER).model_dump() | {"volume_size": size})


@pytest.mark.parametrize("which", ["1" * 64, "2" * 64, "3" * 64])
def test_the_digest_of_a_part_confirms_nothing(which: str) -> None:
    """Only the last volume has the digests of all others: who confirms another one hasn't confirmed the whole (P10)."""
    work, said = ready()
    work.tell(confirmed(said.export_id, which))
    assert work.one(ConfirmationRejected).reason == "other_checksum"
    work.tell(confirmed(said.export_id, said.sha256))

    assert work.ordered


def test_links_to_all_are_taken_back() -> None:
    """Each volume is put in its own place, and where it lies then is remembered and told."""
    work, said = ready()
    work.tell(revoke(said.export_id))
    order = work.ordered[-1][1]
    assert isinstance(order, RevokeLinks)
    assert [one.place for one in order.before] == [one.place for one in said.volumes[:-1]]
    work.perform(performed)
    answer = work.one(LinksRevoked)

    assert (answer.object_version, answer.before) == ("v1.1", ("v1-1.1", "v1-2.1"))
    (copy,) = work.state.known.archives
    assert [one.version for one in copy.volumes] == ["v1-1.1", "v1-2.1", "v1.1"]
    assert [one.sha256 for one in copy.volumes] == [one.sha256 for one in said.volumes]


def test_what_an_older_release_has_taken_back_is_not_all() -> None:
    """It knows the last volume alone: links to the others lead there still."""
    work, said = ready()
    work.tell(revoke(said.export_id))
    work.tell(replaced(work.ordered.pop()[1]).model_copy(update={"before": ()}))

    assert work.one(LinkRevocationFailed).reason == "not_all"
    assert work.all(LinksRevoked) == []
    (copy,) = work.state.known.archives
    assert [one.version for one in copy.volumes] == ["v1-1", "v1-2", "v1.1"]
    assert work.state.known.revoking == ()


def test_all_are_delivered_or_none() -> None:
    """The order names all; that they lie there is said of all, with the digest of the whole."""
    work, said = ready()
    work.tell(agreed(), deliver(said.export_id))
    order = work.ordered[-1][1]
    assert isinstance(order, DeliverExport)
    assert [one.sha256 for one in order.before] == ["1" * 64, "2" * 64]
    work.perform(performed)
    answer = work.one(ExportDelivered)

    assert (answer.volumes, answer.sha256) == (3, said.sha256)


def test_what_an_older_release_has_delivered_is_not_all() -> None:
    """It has sent the last volume alone, and that is no delivery."""
    work, said = ready()
    work.tell(agreed(), deliver(said.export_id))
    work.tell(arrived(work.ordered.pop()[1]).model_copy(update={"volumes": 1}))

    answer = work.one(DeliveryFailed)
    assert (answer.reason, answer.left_behind) == ("not_all", "object")
    assert work.all(ExportDelivered) == []


def test_all_are_deleted_and_said_to_be_gone() -> None:
    """The command names all places, and so does the answer."""
    work, said = ready()
    work.until(CLOSES)
    work.tell(expired(), command())
    order = work.ordered[-1][1]
    assert isinstance(order, DeleteArchives)
    (one,) = order.archives
    assert (*one.before, one.place) == tuple(one.place for one in said.volumes)
    work.perform(performed)
    gone = work.one(ExportDeleted)

    assert (*gone.before, gone.place) == tuple(one.place for one in said.volumes)
    assert work.one(DeletionAcknowledged).holder == POLICY.holder


@pytest.mark.parametrize("reason", ["too_many_volumes", "unusable_recipient", "unknown", "papers_alone"])
def test_what_can_not_be_had_is_not_tried_again(reason: str) -> None:
    """Nobody can make it by trying: the answer comes at once, and nothing else is ordered."""
    work = in_window()
    work.tell(asked())
    work.tell(not_built(work.ordered.pop(0)[1], reason))

    assert (work.one(ExportFailed).reason, work.one(ExportFailed).attempts) == (reason, 1)
    assert work.ordered == []


def test_a_case_of_before_is_read() -> None:
    """A release that knew no volumes wrote none: its archives are one file each."""
    codec = StateCodec[State](State)
    text = (
        '{"kind": "keeping", "known": {"customer_id": "acme", "archives": [{"export_id": "e1", "place": '
        '"s3://exports/acme/e1.zip", "sha256": "aa", "version": "v7"}], "building": [{"request_id": "r2", '
        '"export_id": "e2", "attempt": 1, "until": "2027-04-02T00:00:00Z"}]}}'
    )
    state = codec.load(text)

    assert isinstance(state, Keeping)
    (copy,) = state.known.archives
    assert copy == Copy("e1", "s3://exports/acme/e1.zip", "aa", version="v7")
    assert copy.volumes == (Volume("s3://exports/acme/e1.zip", "aa", "v7"),)
    assert state.known.building[0].volume_size is None
    assert codec.load(codec.dump(state)) == state
