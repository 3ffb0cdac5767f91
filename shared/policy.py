"""Reads the policy, data that lawyers may change, and names every value that is missing or senseless."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from .errors import OperatorError
from .events.vocabulary import Ref


class PolicyPart(BaseModel):
    """What one service needs of the policy; frozen, and no value has a default, so none is ever guessed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Ref


# P3 promises 90 days; a policy may give more, never less.
WindowDays = Annotated[int, Field(ge=90)]
# How many days before a deadline to tell of it.
Ahead = tuple[Annotated[int, Field(ge=1)], ...]

P = TypeVar("P", bound=PolicyPart)


class PolicyError(OperatorError):
    """The policy can't be used: what is wrong, and in which field of which file."""


def load_policy(path: Path, service: str, part: type[P], **declared: object) -> P:
    """Read the *part* of the policy at *path* that concerns *service*: its section and the values common to all.

    *declared*: values that are declared in another file, and so may not stand in this one.

    Raises ``PolicyError`` naming each missing, unknown or senseless field.
    """
    policy = _mapping(path)
    section = policy.get(service)
    if not isinstance(section, dict):
        msg = f"{path}: there is no section {service!r}; add it, see the comments in the file"
        raise PolicyError(msg)
    _only_once(path, service, section, declared)
    common = {name: policy[name] for name in part.model_fields if name in policy and name not in section}
    try:
        return part.model_validate({**common, **section, **declared})
    except ValidationError as error:
        lines = [f"{path}: {_field(service, problem)}: {problem['msg']}" for problem in error.errors()]
        raise PolicyError("\n".join(lines)) from error


def _mapping(path: Path) -> dict[str, Any]:
    try:
        policy = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        msg = f"{path}: can't be read: {error}"
        raise PolicyError(msg) from error
    if not isinstance(policy, dict):
        msg = f"{path}: is not a mapping of names to values"
        raise PolicyError(msg)
    return policy


def _only_once(path: Path, service: str, section: dict[str, Any], declared: dict[str, object]) -> None:
    for name in declared:
        if name in section:
            msg = f"{path}: {service}.{name}: is declared in another file; remove it here"
            raise PolicyError(msg)


def _field(service: str, problem: ErrorDetails) -> str:
    return ".".join([service, *map(str, problem["loc"])])
