"""The makers' images serve as well as the local stack, where a Docker daemon answers."""

from __future__ import annotations

import gc
import shutil
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import aioboto3
import asyncpg
import docker
import pytest
import requests
import yaml
from docker.errors import APIError, DockerException, ImageNotFound
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from deploy.stack.databases import prepare_databases
from deploy.stack.topic_broker import apply_topics, check_topics
from deploy.stack.topics import declared_topics

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]


@pytest.fixture(scope="module")
def daemon() -> Iterator[docker.DockerClient]:
    """Find a Docker daemon, or skip with the reason why there is none."""
    with warnings.catch_warnings():
        # The client leaves its socket open when nobody answers.
        warnings.simplefilter("ignore", ResourceWarning)
        reason = _silence()
        gc.collect()
    if reason:
        pytest.skip(f"no Docker daemon answers: {reason}")
    # It would be one image more to pull; every container here is ended by its own context.
    testcontainers_config.ryuk_disabled = True
    client = docker.from_env()
    yield client
    client.close()


def _silence() -> str | None:
    """Say why no daemon answers, if so."""
    # With a version given nothing is asked before the ping, so that the client can be closed when that fails.
    client = docker.from_env(version="1.41")
    try:
        client.ping()
    except APIError:
        # It answers; only the version is not to its liking.
        return None
    except (DockerException, requests.ConnectionError) as error:
        return str(error)
    finally:
        client.close()
    return None


def image(daemon: docker.DockerClient, name: str) -> str:
    """Name the image of the service *name* in the compose file, or skip when it can't be had."""
    wanted = str(COMPOSE[name]["image"])
    try:
        daemon.images.get(wanted)
    except ImageNotFound:
        try:
            daemon.images.pull(wanted)
        except APIError as error:
            pytest.skip(f"{wanted} is not here and can't be pulled: {error.explanation}")
    return wanted


def on_loopback(container: DockerContainer, inside: int) -> int:
    """Publish the port *inside* of *container* on a free port of the loopback alone; returns that."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    container.ports = {f"{inside}/tcp": ("127.0.0.1", port)}
    return port


async def test_kafkas_image_takes_the_declared_topics(daemon: docker.DockerClient) -> None:
    """A broker in a container, reached through its published port, can be brought to the declaration."""
    container = DockerContainer(image(daemon, "kafka"))
    port = on_loopback(container, 19092)
    for name, value in COMPOSE["kafka"]["environment"].items():
        container.with_env(name, value.replace("${KAFKA_PORT:-29092}", str(port)))
    container.waiting_for(LogMessageWaitStrategy("Kafka Server started"))
    topics = declared_topics("t-")[:6]
    with container:
        await apply_topics(f"127.0.0.1:{port}", topics)

        assert await check_topics(f"127.0.0.1:{port}", topics) == []


async def test_postgres_image_keeps_services_apart(daemon: docker.DockerClient) -> None:
    """In a container too, a service's role is let into its own database and no other."""
    container = PostgresContainer(image(daemon, "postgres"), username="postgres", password="pw", driver=None)
    port = on_loopback(container, 5432)
    with container:
        dsns = await prepare_databases(f"postgresql://postgres:pw@127.0.0.1:{port}/postgres")
        own = await asyncpg.connect(dsns["notice"])
        await own.close()

        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await asyncpg.connect(dsns["notice"].removesuffix("offramp_notice") + "offramp_exporter")


async def test_seaweeds_image_keeps_an_object(daemon: docker.DockerClient) -> None:
    """The object store in a container takes and gives an object under the keys of the compose file."""
    container = DockerContainer(image(daemon, "s3"))
    port = on_loopback(container, 8333)
    container.with_command(COMPOSE["s3"]["command"])
    container.with_copy_into_container(DEPLOY / "containers" / "identities.json", "/etc/seaweedfs/identities.json")
    container.waiting_for(LogMessageWaitStrategy("Start Seaweed S3 API Server"))
    with container:
        assert await _kept(f"http://127.0.0.1:{port}", b"object") == b"object"


def test_the_compose_file_serves_the_whole_product(daemon: docker.DockerClient) -> None:
    """With the compose file up, the commands work on its addresses and start nothing of their own."""
    command = _compose_command()
    for name in COMPOSE:
        image(daemon, name)
    ports = {name: str(on_loopback(DockerContainer("none"), 1)) for name in ("KAFKA_PORT", "POSTGRES_PORT", "S3_PORT")}
    compose = [*command, "-p", f"offramp-t{uuid4().hex[:8]}", "-f", str(DEPLOY / "compose.yaml")]
    try:
        _run(*compose, "up", "--detach", **ports)
        _await_health(daemon, compose, ports)
        told = _offramp("stack up && offramp topics apply && offramp topics check && offramp stack status", ports)

        assert told.count("external") >= len(COMPOSE)
        assert "0 differ" in told
    finally:
        _run(*compose, "down", "--volumes", **ports)


def _compose_command() -> list[str]:
    if shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    pytest.skip("neither `docker compose` nor `docker-compose` is installed")


def _await_health(daemon: docker.DockerClient, compose: list[str], ports: dict[str, str]) -> None:
    """Wait for the daemon's own events, which tell when a container's health changes."""
    ids = _run(*compose, "ps", "--quiet", **ports).split()
    waiting = {one for one in ids if daemon.api.inspect_container(one)["State"]["Health"]["Status"] != "healthy"}
    events = daemon.events(decode=True, filters={"event": "health_status", "container": ids})
    while waiting:
        event = next(events)
        assert "unhealthy" not in event["status"], event
        waiting.discard(event["id"])
    events.close()


def _offramp(commands: str, ports: dict[str, str]) -> str:
    program = f"set -a; . deploy/containers/external.env; offramp {commands}"
    return _run("sh", "-ec", program, **ports)


def _run(*command: str, **more: str) -> str:
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    environment = {"PATH": path, "HOME": str(Path.home()), **more}
    done = subprocess.run(command, check=False, cwd=DEPLOY.parent, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def _kept(endpoint: str, body: bytes) -> bytes:
    keys = {"aws_access_key_id": "offramp", "aws_secret_access_key": "offramp-secret", "region_name": "us-east-1"}
    async with aioboto3.Session().client("s3", endpoint_url=endpoint, **keys) as s3:
        await s3.create_bucket(Bucket="t-kept")
        await s3.put_object(Bucket="t-kept", Key="kept", Body=body)
        answer = await s3.get_object(Bucket="t-kept", Key="kept")
        return bytes(await answer["Body"].read())
