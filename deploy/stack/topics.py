"""The declaration of the topics, read and checked: what a broker should have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from shared.errors import OperatorError

DECLARATION = Path(__file__).parents[1] / "topics.yaml"
DEAD_LETTER = "dead_letter"
OPERATORS = "operators"

_Names = Annotated[tuple[str, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as it should be: *config* is its own, beyond the broker's; writers and readers are principals."""

    name: str
    partitions: int
    replication: int
    config: dict[str, str]
    writers: tuple[str, ...]
    readers: tuple[str, ...]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Declared(_Strict):
    kind: str
    writers: _Names
    readers: _Names


class _Declaration(_Strict):
    partitions: Annotated[int, Field(ge=1)]
    replication: Annotated[int, Field(ge=1)]
    principals: dict[str, str]
    kinds: dict[str, dict[str, str | int]]
    topics: dict[str, _Declared]

    @model_validator(mode="after")
    def _names_are_known(self) -> _Declaration:
        for name, topic in self.topics.items():
            unknown = ({topic.kind} - set(self.kinds)) | ({*topic.writers, *topic.readers} - set(self.principals))
            if unknown:
                raise ValueError(f"{name} speaks of {', '.join(sorted(unknown))}, which nothing declares")
        return self


def declared_topics(prefix: str = "", file: Path = DECLARATION) -> list[Topic]:
    """Read every topic of *file*, each followed by that of its dead letters; raises ``OperatorError``."""
    try:
        declaration = _Declaration.model_validate(yaml.safe_load(file.read_text()))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise OperatorError(f"{file} can't be used, mend it there: {error}") from error
    return [topic for name in declaration.topics for topic in _with_dead_letters(declaration, name, prefix)]


def _with_dead_letters(declaration: _Declaration, name: str, prefix: str) -> tuple[Topic, Topic]:
    declared = declaration.topics[name]
    topic = _topic(declaration, f"{prefix}{name}", declared)
    letters = _Declared(kind=DEAD_LETTER, writers=declared.readers, readers=(OPERATORS,))
    return topic, _topic(declaration, f"dlq.{topic.name}", letters)


def _topic(declaration: _Declaration, name: str, declared: _Declared) -> Topic:
    return Topic(
        name=name,
        partitions=declaration.partitions,
        replication=declaration.replication,
        config={key: str(value) for key, value in declaration.kinds[declared.kind].items()},
        writers=tuple(declaration.principals[writer] for writer in declared.writers),
        readers=tuple(declaration.principals[reader] for reader in declared.readers),
    )
