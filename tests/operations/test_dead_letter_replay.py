"""A dead letter goes back as the very same record, once per asking, and never for somebody else's service."""

from __future__ import annotations

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from counting import PARTITIONS
from kafka_records import Records
from letters import MOMENT, TOPIC, bury, why

from shared.caserows import key_hash
from shared.deadletters import (
    NoSuchLetterError,
    dead_letter_topic,
    letter,
    letters,
    replay,
    replay_group,
    replayed_to,
    topics,
)
from shared.errors import OperatorError
from shared.events.envelope import Record, read
from shared.worker import Place


async def test_the_original_comes_back_bit_by_bit(producer: AIOKafkaProducer, place: Place, records: Records) -> None:
    """What is put back has the original's key, value, time and headers, in the partition of its key."""
    await bury(producer, place)

    assert await replay(place, "notice", TOPIC) == 1
    (back,) = await records.of(place.prefix + TOPIC)
    assert (back.key, back.value, back.timestamp) == (b"acme", b"{not json", MOMENT)
    assert back.headers == (("traceparent", b"00-1"),)
    assert back.partition == key_hash("acme") % PARTITIONS


async def test_a_plain_message_keeps_its_derived_id(producer: AIOKafkaProducer, place: Place, records: Records) -> None:
    """A plain JSON message that is put back is the same event again, since its id is derived from what was kept."""
    topic = "ExportRequested"
    value = b'{"customer_id":"acme","request_id":"r1","requested_at":"2026-03-01T12:00:00Z"}'
    before = read(Record(place.prefix + topic, 1, 7, MOMENT, b"acme", value, ()), place.prefix)
    await bury(producer, place, value, topic=topic)

    await replay(place, "notice", topic)
    (back,) = await records.of(place.prefix + topic)
    after = read(
        Record(back.topic, back.partition, back.offset, back.timestamp, back.key, back.value, back.headers),
        place.prefix,
    )
    assert (after.id, after.source) == (before.id, before.source)


async def test_without_a_key_it_goes_where_it_was(producer: AIOKafkaProducer, place: Place, records: Records) -> None:
    """A record without a key returns to the partition that it came from."""
    for original in (0, 1, 1):
        await bury(producer, place, key=None, original=original)

    await replay(place, "notice", TOPIC)
    assert [back.partition for back in await records.of(place.prefix + TOPIC)] == [0, 1, 1]


async def test_a_key_that_no_text_can_hold_comes_back(
    producer: AIOKafkaProducer, place: Place, records: Records
) -> None:
    """A key with zero bytes, such as another language's number, is the same bytes after a burial and a replay."""
    headers = [*why(), ("__dlq.errors.key", b"\x00\x07".hex().encode())]
    await producer.send_and_wait(dead_letter_topic(place, TOPIC), b"x", None, partition=0, headers=headers)

    await replay(place, "notice", TOPIC)
    (back,) = await records.of(place.prefix + TOPIC)
    assert (back.key, back.headers) == (b"\x00\x07", ())


async def test_all_means_all_since_the_last_time(producer: AIOKafkaProducer, place: Place, records: Records) -> None:
    """Each letter is put back by one "replay all", also when more were buried in between."""
    await bury(producer, place, b"one")

    assert await replay(place, "notice", TOPIC) == 1
    assert await replay(place, "notice", TOPIC) == 0
    await bury(producer, place, b"two")
    assert await replay(place, "notice", TOPIC) == 1
    assert sorted(back.value for back in await records.of(place.prefix + TOPIC)) == [b"one", b"two"]


async def test_kafkas_own_tools_show_what_is_left(producer: AIOKafkaProducer, place: Place) -> None:
    """The offsets of the replay group say how far letters were put back; a rehearsal moves nothing."""
    await bury(producer, place)
    await bury(producer, place)

    assert await replay(place, "notice", TOPIC, dry_run=True) == 2
    assert await replayed_to(place, "notice", TOPIC) == {}
    await replay(place, "notice", TOPIC)
    admin = AIOKafkaAdminClient(bootstrap_servers=place.kafka)
    await admin.start()
    marks = await admin.list_consumer_group_offsets(replay_group(place, "notice"))
    await admin.close()
    assert [(where.topic, where.partition, mark.offset) for where, mark in marks.items()] == [
        (dead_letter_topic(place, TOPIC), 0, 2)
    ]


async def test_only_the_asked_services_letters_go_back(
    producer: AIOKafkaProducer, place: Place, records: Records
) -> None:
    """What another service buried stays for that service, whose own mark is untouched."""
    await bury(producer, place, b"theirs", service="retention")
    await bury(producer, place, b"ours")

    assert await replay(place, "notice", TOPIC) == 1
    assert [back.value for back in await records.of(place.prefix + TOPIC)] == [b"ours"]
    assert await replay(place, "retention", TOPIC) == 1


async def test_one_letter_by_its_place(producer: AIOKafkaProducer, place: Place, records: Records) -> None:
    """A single letter is put back by partition and offset, and leaves the mark of "all" where it was."""
    await bury(producer, place, b"one")
    await bury(producer, place, b"two")

    assert await replay(place, "notice", TOPIC, 0, 1) == 1
    assert [back.value for back in await records.of(place.prefix + TOPIC)] == [b"two"]
    assert await replay(place, "notice", TOPIC) == 2


async def test_a_letter_that_is_not_there_stops_nobody(producer: AIOKafkaProducer, place: Place) -> None:
    """An instruction with a wrong place puts nothing back; reading it names what there is instead."""
    await bury(producer, place)

    assert await replay(place, "notice", TOPIC, 0, 9) == 0
    assert await replay(place, "notice", TOPIC, 9, 0) == 0
    assert await replay(place, "notice", "AccountClosed") == 0
    assert await replay(place, "retention", TOPIC, 0, 0) == 0
    with pytest.raises(NoSuchLetterError, match="holds the offsets 0 to 0"):
        await letter(place, TOPIC, 0, 9)


async def test_a_page_is_no_limit(producer: AIOKafkaProducer, place: Place, records: Records) -> None:
    """More letters than fit in one page all go back, in the order in which they were buried."""
    batch = [
        await producer.send(dead_letter_topic(place, TOPIC), b"%d" % number, b"acme", partition=1, headers=why())
        for number in range(1300)
    ]
    for sent in batch:
        await sent

    assert await replay(place, "notice", TOPIC) == 1300
    assert [int(back.value) for back in await records.of(place.prefix + TOPIC)] == list(range(1300))


async def test_a_letter_says_where_it_came_from(producer: AIOKafkaProducer, place: Place) -> None:
    """A letter names its service, its reason and the original's place; one made of a case has no place in Kafka."""
    await bury(producer, place)
    await producer.send_and_wait(
        dead_letter_topic(place, TOPIC), b"x", b"acme", partition=0, headers=why("notice", -1, -1)
    )

    first, second = [one async for one in letters(place, TOPIC)]
    assert (first.service, first.reason, first.origin) == ("notice", "value: not JSON", (TOPIC, 0, 7))
    assert second.origin == (TOPIC, None, None)
    assert set(await topics(place)) == {"ContractRegistered", "NoticeReceived", "ExportRequested"}


async def test_no_kafka_is_one_sentence(place: Place) -> None:
    """When Kafka does not answer, the error says where it was looked for and what to do."""
    nowhere = Place("127.0.0.1:1", place.dsn)

    with pytest.raises(OperatorError, match=r"Kafka does not answer at 127\.0\.0\.1:1: check OFFRAMP_KAFKA"):
        await topics(nowhere)
