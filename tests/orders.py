"""Draws the orders in which events may be read: Kafka keeps the order of one topic, and none between topics."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from shared.events.event import Event


@st.composite
def reading_orders(draw: st.DrawFn, events: Sequence[Event]) -> list[Event]:
    """Draw one of the orders in which *events*, published in this order, may be read."""
    topics: dict[str, list[Event]] = {}
    for event in events:
        topics.setdefault(event.type(), []).append(event)
    order = []
    while topics:
        topic = draw(st.sampled_from(sorted(topics)))
        order.append(topics[topic].pop(0))
        if not topics[topic]:
            del topics[topic]
    return order
