"""The servers' own tools, already pointed at the right address."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NoReturn

from shared.errors import OperatorError
from shared.postgres_tool import postgres_tool
from shared.settings import Settings

from .kafka import java_command, java_environment
from .site import Site

KAFKA_TOOLS = {
    "acls": "org.apache.kafka.tools.AclCommand",
    "configs": "kafka.admin.ConfigCommand",
    "console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "consumer-perf-test": "org.apache.kafka.tools.ConsumerPerformance",
    "get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
    "topics": "org.apache.kafka.tools.TopicCommand",
}
_FLAGS = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")


def run_kafka_tool(settings: Settings, tool: str, arguments: Sequence[str]) -> NoReturn:
    """Become Kafka's *tool* (named as its script ``kafka-<tool>.sh``); raises ``OperatorError``."""
    if tool not in KAFKA_TOOLS:
        raise OperatorError(f"{tool!r} is none of Kafka's tools here: {', '.join(KAFKA_TOOLS)}.")
    command = java_command(KAFKA_TOOLS[tool], *_FLAGS)
    environment = java_environment(Site.of(settings))
    os.execve(command[0], [*command, "--bootstrap-server", settings.kafka, *arguments], environment)  # noqa: S606 - no shell


def run_psql(settings: Settings, service: str | None, arguments: Sequence[str]) -> NoReturn:
    """Become ``psql`` on *service*'s database, or the administrator's; raises ``OperatorError``."""
    program = os.fspath(postgres_tool("psql"))
    url = settings.dsn(service) if service else settings.postgres
    os.execv(program, [program, *arguments, url])  # noqa: S606 - no shell
