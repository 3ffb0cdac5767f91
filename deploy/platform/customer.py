"""One invented customer: its rows and objects, the same ones for the same seed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from ipaddress import IPv4Address
from random import Random
from typing import TYPE_CHECKING
from uuid import UUID

from . import media, texts

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

BEGINNING = datetime(2024, 1, 1, tzinfo=UTC)
COURSES = 8
# Only the first few people have pictures and papers, so that the objects don't grow with the rows.
WITH_OBJECTS = 12
# In the order of foreign keys, parents first.
COLUMNS: dict[str, tuple[str, ...]] = {
    "customers": ("id", "name", "contact_email", "time_zone", "settings", "created_at"),
    "courses": ("id", "customer_id", "title", "description", "tags", "price", "video_key", "published_at"),
    "users": (
        "id", "customer_id", "manager_id", "username", "full_name", "email", "locale", "born_on", "password_hash",
        "avatar_key", "last_login_at",
    ),
    "enrolments": ("id", "user_id", "course_id", "enrolled_at", "expires_on"),
    "completions": ("enrolment_id", "completed_at", "score", "time_spent"),
    "quiz_attempts": ("id", "enrolment_id", "quiz", "answers", "score", "started_at", "finished_at"),
    "certificates": ("serial", "enrolment_id", "issued_on", "document_key"),
    "activity_log": ("id", "customer_id", "user_id", "happened_at", "action", "address", "detail"),
    "feedback": ("id", "course_id", "user_id", "rating", "comment", "given_on"),
    "reports": ("id", "customer_id", "title", "figures", "document_key", "made_at"),
    "api_tokens": ("id", "user_id", "name", "token", "expires_at"),
}  # fmt: skip

Row = tuple[object, ...]


@dataclass
class Batch:
    """Some rows per table, and the objects that they name, by key."""

    rows: dict[str, list[Row]] = field(default_factory=lambda: {table: [] for table in COLUMNS})
    objects: dict[str, bytes] = field(default_factory=dict)


class Inventor:
    """Invents one customer in batches; *taken* holds the last number given per table, and is counted on."""

    def __init__(self, customer: str, seed: int, taken: Counter[str]) -> None:
        self._customer = customer
        self._random = Random(f"{seed}/{customer}")  # noqa: S311  (invented data, no secrets)
        self._taken = taken
        self._courses: list[int] = []
        self._people = 0
        self._papers = 0
        self._batch = Batch()

    def batches(self, users: int, size: int = 500) -> Iterator[Batch]:
        """Give the customer and its courses first, then *users* people with all that they did, *size* at a time."""
        self._account()
        for person in range(users):
            self._person(person)
            if (person + 1) % size == 0:
                yield self._cut()
        yield self._cut()

    def _cut(self) -> Batch:
        batch, self._batch = self._batch, Batch()
        return batch

    def _add(self, table: str, *row: object) -> None:
        self._batch.rows[table].append(row)

    def _next(self, table: str) -> int:
        self._taken[table] += 1
        return self._taken[table]

    def _object(self, name: str, body: bytes) -> str:
        key = f"{self._customer}/{name}"
        self._batch.objects[key] = body
        return key

    def _moment(self) -> datetime:
        return BEGINNING + timedelta(microseconds=self._random.randrange(10**6 * 86400 * 700))

    def _perhaps(self, value: object, share: float = 0.7) -> object:
        return value if self._random.random() < share else None

    def _account(self) -> None:
        name, zone = self._customer.title(), self._random.choice(texts.ZONES)
        settings = json.dumps({"theme": self._random.choice(["dark", "light"]), "languages": list(texts.LOCALES[:3])})
        self._add("customers", self._customer, name, f"office@{self._customer}.example", zone, settings, BEGINNING)
        for number in range(COURSES):
            self._course(number)
        for quarter in range(1, 4):
            self._report(quarter)

    def _course(self, number: int) -> None:
        course = self._next("courses")
        self._courses.append(course)
        title = texts.TITLES[number % len(texts.TITLES)]
        video = self._object(f"courses/{number}.mp4", media.mp4(self._random))
        tags = self._random.sample(["law", "säkerhet", "a,b", 'quo"ted', ""], k=self._random.randrange(4))
        price = self._perhaps(self._random.randrange(100_000) / 100)
        comment = self._perhaps(self._random.choice(texts.COMMENTS))
        self._add("courses", course, self._customer, title, comment, tags, price, video, self._perhaps(self._moment()))

    def _report(self, quarter: int) -> None:
        document = self._object(f"reports/2025-q{quarter}.pdf", media.pdf(f"Report 2025 Q{quarter}"))
        figures = json.dumps(
            {"active": self._random.randrange(1000), "by_course": [[1, 0.5], [2, None]], "note": "höj"}
        )
        row = (self._next("reports"), self._customer, f"2025 Q{quarter}", figures, document, self._moment())
        self._add("reports", *row)

    def _person(self, person: int) -> None:
        user, random = self._next("users"), self._random
        manager = user - 1 if person % 10 else None
        name = f"{random.choice(texts.GIVEN)} {random.choice(texts.FAMILY)}"
        avatar = self._object(f"avatars/{person}.png", media.png(random)) if person < WITH_OBJECTS else None
        born = self._perhaps(date(1950, 1, 1) + timedelta(days=random.randrange(20_000)), 0.5)
        email = self._perhaps(f"user{person}@{self._customer}.example", 0.9)
        secret = f"$argon2id$v=19${random.randbytes(16).hex()}"
        names = (user, self._customer, manager, f"user{person}", name, email, random.choice(texts.LOCALES))
        self._add("users", *names, born, secret, avatar, self._perhaps(self._moment()))
        if person % 20 == 0:
            token = random.randbytes(24)
            self._add("api_tokens", self._next("api_tokens"), user, "script", token, self._perhaps(self._moment()))
        for course in random.sample(self._courses, k=3):
            self._enrolment(user, course)
        for _ in range(random.randrange(8)):
            self._activity(user)

    def _enrolment(self, user: int, course: int) -> None:
        enrolment, since, random = self._next("enrolments"), self._moment(), self._random
        expires = self._perhaps((since + timedelta(days=365)).date(), 0.3)
        self._add("enrolments", enrolment, user, course, since, expires)
        for attempt in range(random.randrange(3)):
            answers = json.dumps(
                {"q1": random.choice("abcd"), "q2": random.choice(texts.COMMENTS), "q3": [attempt, None]}
            )
            row = (self._next("quiz_attempts"), enrolment, f"Quiz {attempt + 1}", answers)
            self._add("quiz_attempts", *row, self._perhaps(random.random()), since, self._perhaps(since))
        if random.random() < 0.6:  # noqa: PLR2004  (a share)
            self._completion(enrolment, since)
        if random.random() < 0.2:  # noqa: PLR2004  (a share)
            self._feedback(user, course, since.date())

    def _completion(self, enrolment: int, since: datetime) -> None:
        random, done = self._random, since + timedelta(days=self._random.randrange(90))
        spent = self._perhaps(timedelta(seconds=random.randrange(36_000)))
        self._add("completions", enrolment, done, self._perhaps(random.randrange(10_000) / 100), spent)
        serial = UUID(bytes=random.randbytes(16), version=4)
        document = None
        if self._papers < WITH_OBJECTS:
            self._papers += 1
            document = self._object(f"certificates/{serial}.pdf", media.pdf(f"Certificate {serial}"))
        self._add("certificates", serial, enrolment, done.date(), document)

    def _feedback(self, user: int, course: int, day: date) -> None:
        comment = self._perhaps(self._random.choice(texts.COMMENTS), 0.8)
        row = (self._next("feedback"), course, self._perhaps(user, 0.5), self._random.randint(1, 5), comment, day)
        self._add("feedback", *row)

    def _activity(self, user: int) -> None:
        random = self._random
        address = self._perhaps(IPv4Address(f"192.0.2.{random.randrange(256)}"))
        detail = self._perhaps(json.dumps({"agent": "Mozilla/5.0", "text": random.choice(texts.COMMENTS)}), 0.4)
        row = (self._next("activity_log"), self._customer, user, self._moment(), random.choice(texts.ACTIONS))
        self._add("activity_log", *row, address, detail)
