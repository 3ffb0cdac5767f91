"""Older versions of events, which stay readable for ever: each keeps its model and a function to the next version."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias, TypeVar

from pydantic import ValidationError

from . import former
from .catalogue import EVENTS
from .event import Event, Instruction

M = TypeVar("M", Event, Instruction)

# No version has five digits, and a number without end would have to be read before it could be refused.
_SCHEMA = re.compile(r"urn:offramp:([A-Za-z]{1,64}):v([1-9][0-9]{0,3})")


@dataclass(frozen=True, slots=True)
class Former:
    """A version that is no longer written: its *model*, and *raised*, which makes the next version's event of it."""

    model: type[Event]
    raised: Callable[[Any], Event]


Formers: TypeAlias = Mapping[tuple[str, int], Former]

# By type and version.
FORMER: dict[tuple[str, int], Former] = {
    ("ConfirmationRejected", 1): Former(former.ConfirmationRejectedV1, former.confirmation_rejected),
    ("ContractRegistered", 1): Former(former.ContractRegisteredV1, former.contract_registered),
    ("ContractTerminated", 1): Former(former.ContractTerminatedV1, former.contract_terminated),
    ("DeadlineApproaching", 1): Former(former.DeadlineApproachingV1, former.deadline_approaching),
    ("DeletionAcknowledged", 1): Former(former.DeletionAcknowledgedV1, former.deletion_acknowledged),
    ("DeletionApproved", 1): Former(former.DeletionApprovedV1, former.deletion_approved),
    ("DeletionApproved", 2): Former(former.DeletionApprovedV2, former.deletion_approved_2),
    ("DeletionStalled", 1): Former(former.DeletionStalledV1, former.deletion_stalled),
    ("DeletionStalled", 2): Former(former.DeletionStalledV2, former.deletion_stalled_2),
    ("DeletionStalled", 3): Former(former.DeletionStalledV3, former.deletion_stalled_3),
    ("ExportReady", 1): Former(former.ExportReadyV1, former.export_ready),
    ("ExportRefused", 1): Former(former.ExportRefusedV1, former.export_refused),
    ("NoticeRejected", 1): Former(former.NoticeRejectedV1, former.notice_rejected),
}


class VersionError(ValueError):
    """The data's schema is not one that is known here; the message says why."""


@cache
@cache
def schema_name(model: type[Event | Instruction]) -> str:
    """Name the schema that *model* is written by, for CloudEvents' ``dataschema``."""
    return f"urn:offramp:{model.type()}:v{model.version}"


def version_of(schema: object, model: type[Event | Instruction]) -> int:
    """Read the version out of *schema*, a ``dataschema``, for *model*; raises ``VersionError``."""
    match = _SCHEMA.fullmatch(schema) if isinstance(schema, str) else None
    if match is None or match[1] != model.type():
        raise VersionError(f"must be urn:offramp:{model.type()}:v and a version")
    if int(match[2]) > model.version:
        raise VersionError(f"version {match[2]} is newer than {model.version}, the newest known here")
    return int(match[2])


def all_versions() -> dict[tuple[str, int], type[Event]]:
    """List the model of every event and version, old and new."""
    today = {(name, model.version): model for name, model in EVENTS.items()}
    return today | {key: former.model for key, former in FORMER.items()}


def read_any(model: type[M], data: Mapping[str, Any], text: bytes, formers: Formers = FORMER) -> M:
    """Read *data*, as *text*, that says no version: as today's if it fits, else as the latest that it fits.

    Raises pydantic's ``ValidationError`` of the version that it fits best, and ``VersionError`` where an older one, all
    of whose fields these are, would mean something else by them.
    """
    older = [version for version in range(model.version - 1, 0, -1) if (model.type(), version) in formers]
    try:
        today: M = model.__pydantic_validator__.validate_json(text)
    except ValidationError as fault:
        return _read_older(model, text, formers, older, fault)
    for version in older:
        known = formers[model.type(), version].model.model_fields
        if data.keys() <= known.keys() and _means_else(today, version, text, formers):
            raise VersionError(f"needed, since version {version} means something else by the same fields")
    return today


def _read_older(model: type[M], text: bytes, formers: Formers, older: list[int], fault: ValidationError) -> M:
    faults = [fault]
    for version in older:
        try:
            return read_former(model, version, text, formers)
        except ValidationError as another:
            faults.append(another)
    raise min(faults, key=ValidationError.error_count)


def _means_else(today: M, version: int, text: bytes, formers: Formers) -> bool:
    try:
        return read_former(type(today), version, text, formers) != today
    except ValidationError:
        return False


def read_former(model: type[M], version: int, data: bytes, formers: Formers = FORMER) -> M:
    """Read JSON *data* of an older *version* of *model* and raise it, step by step, to today's.

    Raises pydantic's ``ValidationError`` for wrong data and ``VersionError`` for a version that was given up.
    """
    steps = [formers.get((model.type(), step)) for step in range(version, model.version)]
    known = [step for step in steps if step is not None]
    if len(known) < len(steps):
        raise VersionError(f"version {version} can no longer be read")
    event: Any = known[0].model.model_validate_json(data)
    for step in known:
        event = step.raised(event)
    raised: M = event
    return raised
