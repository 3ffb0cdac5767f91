"""The night manual's commands run, its sections are the alerts', and every metric that is looked at exists."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from counting import NOW
from letters import bury
from prometheus_client import CollectorRegistry, ProcessCollector

from shared.events.catalogue import INSTRUCTIONS
from shared.metrics import Readings, families
from shared.worker import Place, Worker
from tests.kept_topics import make_topics

ROOT = Path(__file__).parents[2]
MANUAL = (ROOT / "docs/operations.md").read_text()
RULES = yaml.safe_load((ROOT / "deploy/dashboards/alerts.yaml").read_text())["groups"][0]["rules"]
PANELS = json.loads((ROOT / "deploy/dashboards/offramp.json").read_text())["panels"]
COMMANDS = sorted(
    {
        line.removeprefix("$ ")
        for block in re.findall(r"```console\n(.*?)```", MANUAL, re.DOTALL)
        for line in block.splitlines()
    }
)
_VANISHED = "UnknownTopicOrPartitionException"


def _metrics() -> set[str]:
    """Name every sample that a worker can give, and ``up``, which Prometheus itself makes."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    found = [*families(Readings("notice", NOW)), *registry.collect()]
    return {"up"} | {f"{one.name}_total" if one.type == "counter" else one.name for one in found}


@pytest.mark.parametrize(
    "expression", [*[rule["expr"] for rule in RULES], *[panel["targets"][0]["expr"] for panel in PANELS]]
)
def test_every_metric_that_is_looked_at_exists(expression: str) -> None:
    """An alert or a panel names only metrics that a worker gives."""
    named = set(re.findall(r"\b(?:offramp|process)_[a-z_]+|\bup\b", expression))

    assert named
    assert named <= _metrics()


def test_every_alert_has_its_section_and_every_section_its_alert() -> None:
    """Whoever is woken finds a section of the alert's name: what is seen, what it means, what to do."""
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", MANUAL, re.DOTALL | re.MULTILINE))

    assert list(sections) == [rule["alert"] for rule in RULES]
    assert all(word in text for text in sections.values() for word in ("**Seen:**", "**Means:**", "**Do:**"))
    assert all(rule["annotations"]["runbook"].endswith(f"#{rule['alert'].lower()}") for rule in RULES)


@pytest.fixture
async def instructions(place: Place) -> AsyncIterator[None]:
    """Give the topics that operators instruct services by."""
    names = [place.prefix + name for name in INSTRUCTIONS]
    admin = AIOKafkaAdminClient(bootstrap_servers=place.kafka)
    await admin.start()
    try:
        await make_topics(admin, names)
        yield
        await admin.delete_topics(names)
    finally:
        await admin.close()


@pytest.fixture
async def night(worker: Worker, place: Place, producer: AIOKafkaProducer, instructions: None) -> dict[str, str]:
    """Give an environment in which the manual's names mean the test's own service, which buried a letter."""
    await bury(producer, place)
    dsns = {f"OFFRAMP_{name}_DSN": place.dsn for name in ("NOTICE", "EXPORTER", "RETENTION")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    await worker.pool.execute("insert into cases (customer_id, key_hash) values ('acme', 0)")
    return {**os.environ, **dsns, "OFFRAMP_TOPIC_PREFIX": place.prefix, "PATH": path, "PGCONNECT_TIMEOUT": "5"}


def _prefixed(command: str, prefix: str) -> str:
    """Write Kafka's names as they are with a prefix; our own commands put it there themselves."""
    if " kafka " not in command:
        return command
    return re.sub(r"(--group |--topic )", rf"\g<1>{prefix}", command)


async def test_the_manuals_commands_run(night: dict[str, str], place: Place) -> None:
    """Each command in the manual is one that the operator's shell takes and that ends well."""
    two_at_once = asyncio.Semaphore(2)

    async def run(command: str) -> tuple[str, Any, str]:
        # Some look at all topics, and another test may remove its own between the list and the look.
        for _ in range(5):
            done = await run_once(command)
            if _VANISHED not in done[2]:
                break
        return done

    async def run_once(command: str) -> tuple[str, Any, str]:
        async with two_at_once:
            process = await asyncio.create_subprocess_shell(
                f"set -o pipefail; {_prefixed(command, place.prefix)}",
                executable="/bin/bash",
                env=night,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            output, _ = await process.communicate()
            return command, process.returncode, output.decode()

    # What looks at the replay group needs a replay first.
    first = [command for command in COMMANDS if "dead-letters replay" in command]
    done = [await run(command) for command in first]
    done += await asyncio.gather(*[run(command) for command in COMMANDS if command not in first])

    assert [(command, output) for command, code, output in done if code != 0 or "Error" in output] == []
    told = {command: output for command, _, output in done}
    assert "1 put back" in told["offramp dead-letters replay --service notice"]
    assert "LAG" in told["offramp stack kafka consumer-groups --describe --group offramp.notice.replay"]
    assert "decided upon 0 times" in told["offramp case show acme"]
