"""The rules by which dates are reckoned and told: data that lawyers change, one file a version, none ever changed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.events.notice import CompletionRejected, NoticeRejected, ProlongationRejected, WithdrawalRejected
from shared.events.vocabulary import Code, Country, Language
from shared.policy import Ahead, PolicyError

Few = Annotated[int, Field(ge=1, le=366)]
Sentence = Annotated[str, Field(min_length=1)]
# In which sentences are always there.
FALLBACK = "en"


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Switching(_Data):
    """The clocks of art. 25 of the EU Data Act, Regulation (EU) 2023/2854."""

    notice_months: Annotated[int, Field(ge=1, le=2)]
    transition_days: Annotated[int, Field(ge=1, le=30)]
    prolonged_months: Annotated[int, Field(ge=1, le=7)]
    prolonged_within_working_days: Annotated[int, Field(ge=1, le=14)]


class AnnounceBefore(_Data):
    """How many days before each date the customer is told of it (P12)."""

    notice_deadline: Ahead
    period_end: Ahead
    transition_end: Ahead


class RuleSet(_Data):
    """One version of the rules. Of one in force, no text is lacking; an older one has those that it needed then."""

    country: Country
    holidays: dict[Country, tuple[Code, ...]]
    unwritten_channels: tuple[Code, ...]
    switching: Switching
    announce_before: AnnounceBefore
    laws: dict[Code, Sentence]
    sentences: dict[Language, dict[Code, Sentence]]

    def lacking(self) -> list[str]:
        """Name each text that a reckoning or a refusal may refer to and that isn't there, by its path."""
        lacking = [f"laws.{law}" for law in _LAWS if law not in self.laws]
        for language in (FALLBACK, *self.sentences):
            said = self.sentences.get(language, {})
            lacking += [f"sentences.{language}.{reason}" for reason in REASONS if reason not in said]
        return lacking

    def categories(self, country: str) -> tuple[str, ...]:
        """Tell which of a country's holidays aren't working days."""
        return self.holidays.get(country, ("public",))

    def sentence(self, reason: str, language: str | None) -> str:
        """Say what a refusal means, in the contract's *language* if there is one for it."""
        known = (self.sentences.get(one) for one in (language, (language or "").partition("-")[0], FALLBACK) if one)
        return next(said for said in known if said is not None)[reason]


def load_rules(folder: Path) -> dict[str, RuleSet]:
    """Read every version in *folder*; raises ``PolicyError`` naming the file and the field."""
    return {path.stem: _read(path) for path in sorted(folder.glob("*.yaml"))}


def _read(path: Path) -> RuleSet:
    try:
        return RuleSet.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError) as error:
        raise PolicyError(f"{path}: can't be read: {error}") from error
    except ValidationError as error:
        lines = [f"{path}: {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise PolicyError("\n".join(lines)) from error


def _reasons(model: type[BaseModel]) -> tuple[str, ...]:
    return get_args(model.model_fields["reason"].annotation)


_REFUSALS = (NoticeRejected, WithdrawalRejected, ProlongationRejected, CompletionRejected)
REASONS: tuple[str, ...] = tuple(dict.fromkeys(reason for one in _REFUSALS for reason in _reasons(one)))
# The clauses that the steps of a reckoning name.
_LAWS = ("contract", "p1", "p2", "art_25_2_a", "art_25_2_c", "art_25_2_c_i", "art_25_2_d", "art_25_4", "art_25_5")
