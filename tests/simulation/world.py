"""One world from one seed: services, topics, stores, customers, time, and everything that goes wrong."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from random import Random
from typing import Any

import structlog

from services.exporter.domain import domain as exporter_domain
from services.exporter.policy import ExporterPolicy
from services.notice.domain import domain as notice_domain
from services.notice.policy import load_notice_policy
from services.retention.domain import domain as retention_domain
from services.retention.policy import RetentionPolicy
from shared import performer
from shared.caserows import key_hash
from shared.decision import Domain, Fact
from shared.declared import policy_file, rules_folder
from shared.events.envelope import write
from shared.events.event import Event
from shared.events.exporter import DeltaReady, ExportReady
from shared.events.notice import DeadlineApproaching
from shared.events.platform import CustomerInformed, DeletionApproved
from shared.events.retention import DeletionRequested, DeletionStalled
from shared.holder.domain import HolderPolicy
from shared.holder.domain import domain as holder_domain
from shared.identity import derived
from shared.statecodec import StateCodec

from . import loop
from .books import INVOICES, USERS
from .broker import PARTITIONS, Broker, Group
from .checker import Checker, ViolationError
from .exporting import exporter_work
from .memory import MemoryDatabase
from .moving import moves
from .stories import START, Story, comes_again, draw, moment
from .systems import ARCHIVES, DATABASE, MEDIA, TABLES, Platform, holder_work, retention_work
from .tally import TALLY
from .worker import Service, Worker

HEALED_ON, ENDS_ON = 225.0, 300.0
_DAY = 86400.0
_HOUR = 3600.0
_MOST_TURNS = 100_000

NOTICE = load_notice_policy(policy_file(), rules_folder())
EXPORTER = ExporterPolicy(
    version="sim", window_days=90, unknown_customer_wait=timedelta(days=1), not_open_wait=timedelta(minutes=10),
    attempts=3, holder=ARCHIVES, compare_up_to=0, restore_up_to=0,
)  # fmt: skip
RETENTION = RetentionPolicy(
    version="sim", former_versions=(), window_days=90, retry_after=(1, 2, 4, 7), bystanders="in_transaction",
    escalation=({"after": 1, "to": "operators"},), sub_processors=(),
    backups=({"name": "dumps", "of": DATABASE, "kept_days": 20},),
    blast_radius={"customers": 25, "few": 5, "percent": 5, "rows": 10**6, "times_usual": 50, "small": 10**5},
    holders=tuple({"name": name, "respond_within": timedelta(days=1)} for name in (DATABASE, MEDIA, ARCHIVES)),
    announce_before={"window_closes": (60, 30, 7, 1), "deletion": (7, 1)},
    confirmation_wait=timedelta(days=1),
)  # fmt: skip


def _by_hand(data: dict[str, Any]) -> dict[str, Any] | None:
    """Say the same as one writes it with a console producer, in the first version's words; None if that has none."""
    if "notice_channels" not in data:
        return data
    notice, renewal, authority = data.pop("notice"), data["renewal"], data.pop("authority")
    if (
        notice["kind"] != "calendar_days"
        or renewal["kind"] not in ("none", "automatic")
        or authority["kind"] != "vouched"
    ):
        return None
    return {**data, "notice_days": notice["days"]}


@dataclass(frozen=True)
class Result:
    """What a seed came to: the violation, if any, and the fingerprint of everything that happened."""

    seed: int
    violation: str | None
    trace_hash: str
    steps: int

    @property
    def replay(self) -> str:
        """Give the command that shows the same again, step by step."""
        return f"python -m tests.simulation --seed {self.seed} --trace"


class World:
    """Everything there is, drawn from *seed*."""

    def __init__(self, seed: int, *, show: bool = False) -> None:
        self.seed = seed
        self.rng = Random(seed)
        self.show = show
        self.loop = asyncio.get_running_loop()
        self.healed = False
        # Some seeds are rough, some are nearly calm.
        self.roughness = self.rng.choice([0.0, 0.3, 1.0, 1.0, 2.0])
        self.steps = self.turns = 0
        self._hash = blake2b(digest_size=16)
        self._ended = asyncio.Event()
        self._down_until = 0.0
        self._slow_until: dict[tuple[str, str], float] = {}
        # Every row that the platform ever made, and whose it is.
        self.touched: dict[str, str] = {}
        self.checker = Checker(self)
        self.platform = Platform(self)
        self.broker = Broker(self.rng, self._appended, self.down)
        self.stories = {story.customer_id: story for story in (draw(self.rng, number) for number in range(4))}
        self.services: dict[str, Service] = {}
        self._moved: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []

    # -- time and luck

    def now(self) -> datetime:
        """Give the true time."""
        return START + timedelta(seconds=self.loop.time())

    def trace(self, who: str, what: str) -> None:
        """Note one step."""
        self.steps += 1
        self._hash.update(f"{self.loop.time():.6f} {who} {what}\n".encode())
        if self.show:
            print(f"{self.now():%Y-%m-%d %H:%M:%S.%f} {who:<12} {what}")

    def turn(self) -> None:
        """Count one turn of somebody's loop."""
        self.turns += 1
        self.checker.must(self.turns < _MOST_TURNS, "somebody goes round and round, and nothing comes of it")

    def unlucky(self, probability: float) -> bool:
        """Tell whether something goes wrong just now."""
        return not self.healed and self.rng.random() < probability * self.roughness

    def latency(self) -> float:
        """Give the seconds until somebody gets round to something."""
        luck = self.rng.random()
        if self.healed or luck < 0.9:
            return self.rng.random() * 0.1
        return self.rng.random() * (10.0 if luck < 0.98 else 3000.0)

    def commit_lost(self) -> bool:
        """Tell whether the answer to a commit gets lost."""
        return self.unlucky(0.01)

    def refused(self) -> bool:
        """Tell whether Kafka refuses to be read from."""
        return self.unlucky(0.01)

    def answer_lost(self) -> bool:
        """Tell whether Kafka's answer gets lost."""
        return self.unlucky(0.02)

    def down(self) -> bool:
        """Tell whether Kafka can't be reached."""
        return self._down_until > self.loop.time()

    def out(self, service: Service) -> bool:
        """Tell whether a service's database can't be reached."""
        return service.out_until > self.loop.time()

    def slow(self, service: Service, topic: str) -> bool:
        """Tell whether a topic gives *service* nothing just now."""
        return self._slow_until.get((service.domain.name, topic), 0.0) > self.loop.time()

    def until_no_topic_is_slow(self) -> float | None:
        """Tell when to look again for what a slow topic holds back."""
        waits = [until - self.loop.time() for until in self._slow_until.values()]
        return min((wait for wait in waits if wait > 0), default=None)

    # -- the parts

    def build(self) -> None:
        """Start all services and all customers."""
        self._serve(notice_domain(NOTICE), lambda _: [])
        self._serve(exporter_domain(EXPORTER), exporter_work)
        self._serve(retention_domain(RETENTION), retention_work)
        self._serve(holder_domain(HolderPolicy(frozenset((DATABASE, MEDIA)))), holder_work)
        self._serve(TALLY, lambda _: [])
        for story in self.stories.values():
            self._begin(self._live(story))
            for day, event in story.events:
                self._begin(self._publish_on(day, event))
        self._begin(self._misfortune())

    def _serve(self, domain: Domain[Any, Any], performances: Any) -> None:
        name, database = domain.name, MemoryDatabase(self.now)
        group = Group(self.broker, frozenset(event.type() for event in domain.consumes))
        service = Service(domain, performances, database, group)
        database.owed = lambda rows: self.checker.owed(name, database, rows)
        database.changed = lambda: (self.checker.waiting(database), service.ring())
        self.services[name] = service
        for number in range(2):
            Worker(self, service, f"{name}-{number}")

    def states(self, name: str) -> dict[str, Any]:
        """Read all of a service's states."""
        service = self.services[name]
        codec: StateCodec[Any] = StateCodec(service.domain.states)
        return {who: codec.load(row["state"]) for who, row in service.database.cases.items() if row["state"]}

    def _begin(self, work: Any) -> None:
        self._tasks.append(asyncio.create_task(work))

    # -- the customers

    async def _live(self, story: Story) -> None:
        await self._work(story.customer_id, story.works_until)
        await self._back(story)

    async def _work(self, customer_id: str, until: float) -> None:
        tables = (*TABLES[DATABASE], *TABLES[MEDIA])
        for table in tables * 2:
            self._touch(table, customer_id)
        while True:
            await asyncio.sleep(self.rng.uniform(1, 30) * _DAY)
            if self.loop.time() > until * _DAY:
                return
            self._touch(self.rng.choice(tables), customer_id)

    def goes_on(self, customer_id: str) -> bool:
        """Tell whether there is another contract now, as the platform knows at once."""
        again = self.stories[customer_id].again
        return again is not None and again[0] * _DAY <= self.loop.time() < again[1] * _DAY

    def _touch(self, table: str, customer_id: str) -> None:
        row, books = self.platform.add(table, customer_id), self.stories[customer_id].books
        self.touched[row] = customer_id
        if table == INVOICES and books:
            self.platform.books.issue(row, self.rng.choice(books), self.platform.own(USERS, customer_id)[0])

    async def _publish_on(self, day: float, event: Event) -> None:
        await asyncio.sleep(day * _DAY - self.loop.time())
        fact = Fact(str(derived("story", event.customer_id, event.model_dump_json())), "/platform", moment(day), event)
        plain = self.rng.random() < 0.2
        times = self.rng.choice([1, 1, 2, 3])
        stamp = int(self.now().timestamp() * 1000)
        for _ in range(times):
            self._publish(fact, stamp, plain=plain)
            await asyncio.sleep(self.rng.choice([0.0, 1.0, _HOUR, _DAY]) * self.rng.random())

    def work_on(self, customer_id: str) -> None:
        """Let somebody of the customer's change something."""
        self._touch(self.rng.choice((*TABLES[DATABASE], *TABLES[MEDIA])), customer_id)

    def publish(self, fact: Fact, stamp: int) -> None:
        """Say something as a service of the platform does."""
        self._publish(fact, stamp, plain=False)

    def _publish(self, fact: Fact, stamp: int, *, plain: bool) -> None:
        who, value, headers = fact.event.customer_id, *write(fact)
        said = _by_hand(json.loads(value)["data"]) if plain else None
        if said is not None:
            value, headers = json.dumps(said).encode(), ()
        self.broker.append(fact.event.type(), key_hash(who) % PARTITIONS, who.encode(), value, headers, stamp)
        self.trace("platform", f"{fact.event!r}")

    def _appended(self, record: Any) -> None:
        self.checker.appended(record)
        if record.topic == DeadlineApproaching.type():
            self._begin(self._inform(record))
        if record.topic == DeletionStalled.type():
            self._begin(self._decide(record))
        if record.topic == DeletionRequested.type():
            self._go_away(json.loads(record.value)["data"]["customer_id"])
        for kind in (one for one in (ExportReady, DeltaReady) if record.topic == one.type()):
            # Once, though the relay may say it twice, or an operator again.
            ready = kind.model_validate(json.loads(record.value)["data"])
            if ready.export_id not in self._moved:
                self._moved.add(ready.export_id)
                self._begin(moves(self, ready, EXPORTER))

    async def _inform(self, record: Any) -> None:
        """Be the mailer: tell the customer, most of the time."""
        said = json.loads(record.value)["data"]
        await asyncio.sleep(self.rng.random() * _HOUR)
        informed = CustomerInformed(
            customer_id=said["customer_id"], announcement_id=said["announcement_id"], channel="email",
            outcome=self.rng.choice(["delivered", "bounced"]), informed_at=self.now(),
        )  # fmt: skip
        name = str(derived("mailer", record.topic, record.partition, record.offset))
        self._publish(Fact(name, "/mailer", self.now(), informed), int(self.now().timestamp() * 1000), plain=False)

    async def _decide(self, record: Any) -> None:
        """Be the operators: see what a deletion waits for, and let a second person decide, sooner or later."""
        said = json.loads(record.value)["data"]
        missing = tuple(
            set(said["missing"])
            & {"not_informed", "blast_radius", "size", "policy_unknown", "counts", "other_map", "kept_gone"}
        )
        if not missing:
            return
        await asyncio.sleep(self.rng.random() * 3 * _DAY)
        shown = sum(one["rows"] for holder in said["counts"] for one in holder["deleted"])
        approved = DeletionApproved(
            customer_id=said["customer_id"], deletion_id=said["deletion_id"], in_spite_of=sorted(missing),
            rows=max(shown, 1000), requested_by="staff:1", approved_by="staff:2", approved_at=self.now(),
        )  # fmt: skip
        self.checker.approve(approved)
        name = str(derived("operators", record.topic, record.partition, record.offset))
        self._publish(Fact(name, "/support", self.now(), approved), int(self.now().timestamp() * 1000), plain=False)

    # -- what goes wrong

    def _go_away(self, customer_id: str) -> None:
        """Let the holders be away from the first command on until the customer has come back and left again."""
        story = self.stories[customer_id]
        if story.at_once:
            self._come_back_at_once(story)
            return
        if story.again is None or story.away_until is None or self.loop.time() >= story.again[0] * _DAY:
            return
        until, story.away_until = story.away_until * _DAY, None
        self._away(until)

    def _come_back_at_once(self, story: Story) -> None:
        """Let the customer come back and leave again within the day that the holders have, and these be away."""
        story.at_once, now, said = False, self.loop.time() / _DAY, len(story.events)
        back = now + self.rng.uniform(0.005, 0.1)
        out = back + self.rng.uniform(0.05, 0.3)
        story.again = (back, out)
        comes_again(self.rng, story, back, out)
        for day, event in story.events[said:]:
            self._begin(self._publish_on(day, event))
        self._begin(self._back(story))
        self._away((out + self.rng.uniform(0.01, 0.4)) * _DAY)

    async def _back(self, story: Story) -> None:
        if story.again is not None:
            back, out = story.again
            await asyncio.sleep(back * _DAY - self.loop.time())
            await self._work(story.customer_id, out)

    def _away(self, until: float) -> None:
        if self.rng.random() < 0.5:
            # The command lies in its topic.
            self._slow_until["holder", DeletionRequested.type()] = until
        else:
            # It was taken on, perhaps, and isn't carried out.
            self._begin(self._stand_still("holder", until))

    async def _stand_still(self, name: str, until: float) -> None:
        await asyncio.sleep(self.rng.random() * 2 * _HOUR)
        for worker in self.services[name].workers:
            worker.asleep_until = until

    async def _misfortune(self) -> None:
        rng = self.rng
        misfortunes = (
            self._kill, self._rebalance, self._database_out, self._kafka_out, self._slow_topic, self._wrong_clock,
            self._fall_asleep, self._replay, self._write_garbage,
        )  # fmt: skip
        while self.roughness and not self.healed:
            await asyncio.sleep(rng.expovariate(self.roughness / (4 * _DAY)))
            if not self.healed:
                rng.choice(misfortunes)()

    def _some_worker(self) -> Worker | None:
        service = self.rng.choice(list(self.services.values()))
        return self.rng.choice(service.workers) if service.workers else None

    def _kill(self) -> None:
        worker = self._some_worker()
        if worker is not None:
            self.killed(worker)

    def killed(self, worker: Worker) -> None:
        """End a worker at once, and start another one in its place some time later."""
        worker.kill()
        self._begin(self._replace(worker))

    async def _replace(self, worker: Worker) -> None:
        await asyncio.sleep(self.rng.uniform(0.1, 45))
        worker.client.leave()
        await asyncio.sleep(self.rng.choice([1, _HOUR, 6 * _HOUR]) * self.rng.random())
        Worker(self, worker.service, worker.name)

    def _rebalance(self) -> None:
        self.rng.choice(list(self.services.values())).group.rebalance()

    def _database_out(self) -> None:
        service = self.rng.choice(list(self.services.values()))
        service.out_until = self._for_a_while()

    def _kafka_out(self) -> None:
        self._down_until = self._for_a_while()

    def _slow_topic(self) -> None:
        service = self.rng.choice(list(self.services.values()))
        topic = self.rng.choice(sorted(service.group.topics))
        self._slow_until[service.domain.name, topic] = self._for_a_while()

    def _for_a_while(self) -> float:
        return self.loop.time() + self.rng.choice([10.0, _HOUR, 8 * _HOUR]) * self.rng.random()

    def _wrong_clock(self) -> None:
        worker = self._some_worker()
        if worker is not None:
            span = self.rng.choice([timedelta(seconds=50), timedelta(hours=3), timedelta(days=100)])
            worker.skew = span * self.rng.uniform(-1, 1)
            worker.ring()
            self.trace(worker.name, f"clock is wrong by {worker.skew}")
            self._begin(self._right_again(worker))

    async def _right_again(self, worker: Worker) -> None:
        await asyncio.sleep(self.rng.choice([_HOUR, _DAY]) * self.rng.random())
        worker.skew = timedelta(0)
        worker.ring()

    def _fall_asleep(self) -> None:
        worker = self._some_worker()
        if worker is not None:
            worker.asleep_until = self._for_a_while()

    def _replay(self) -> None:
        """Put part of a topic on it again, as an operator may."""
        parts = [where for where in sorted(self.broker.log) if not where.topic.startswith("dlq.")]
        if parts:
            where = self.rng.choice(parts)
            for one in self.broker.log[where][self.rng.randrange(len(self.broker.log[where])) :][:20]:
                self.broker.append(one.topic, one.partition, one.key, one.value, one.headers, one.timestamp_ms)

    def _write_garbage(self) -> None:
        topic = self.rng.choice(sorted(self.services["tally"].group.topics))
        key = self.rng.choice([None, b"\0\1", b"somebody"])
        self.broker.append(topic, self.rng.randrange(PARTITIONS), key, b"{", (("x", None),), 1)

    # -- from beginning to end

    def stop(self) -> None:
        """End before the time."""
        self._ended.set()

    async def live(self) -> None:
        """Let faults happen, heal, and let everything come to its end."""
        self.build()
        if await self._until(HEALED_ON):
            return
        self.healed = True
        self._down_until = 0.0
        self._slow_until.clear()
        for service in self.services.values():
            service.out_until = 0.0
            for worker in service.workers:
                worker.skew, worker.asleep_until = timedelta(0), 0.0
            service.ring()
            service.group.ring()
        if not await self._until(ENDS_ON):
            self.checker.at_end()

    async def _until(self, day: float) -> bool:
        """Wait until *day*, or until a violation; tell which."""
        try:
            async with asyncio.timeout_at(day * _DAY):
                await self._ended.wait()
        except TimeoutError:
            return False
        return True

    def result(self, violation: ViolationError | None) -> Result:
        """Sum up."""
        found = self.checker.violation or violation
        return Result(self.seed, None if found is None else str(found), self._hash.hexdigest(), self.steps)


async def _simulate(seed: int, *, show: bool) -> Result:
    world = World(seed, show=show)
    try:
        await world.live()
    except ViolationError as violation:
        return world.result(violation)
    return world.result(None)


def simulate(seed: int, *, show: bool = False) -> Result:
    """Run the world of *seed*; the same seed always comes to the same result."""
    logs, report = structlog.get_config(), performer._REPORT_SECONDS
    # Silent, and a lease is prolonged every third of it: reports of progress would only cost time.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    performer._REPORT_SECONDS = 1e9
    try:
        return loop.run(_simulate(seed, show=show))
    finally:
        performer._REPORT_SECONDS = report
        structlog.configure(**logs)
