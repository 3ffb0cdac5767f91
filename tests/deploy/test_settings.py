"""The settings say where everything is, and refuse what they can't use by the variable's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.settings import UnusableSettingError, read_settings


def test_nothing_set_means_the_local_stack() -> None:
    """Without any variable, every address is the local stack's."""
    settings = read_settings({})

    assert settings.kafka == "127.0.0.1:19092"
    assert settings.postgres == "postgresql://postgres@127.0.0.1:15432/postgres"
    assert settings.s3.endpoint == "http://127.0.0.1:18333"
    assert settings.external == frozenset()


def test_an_empty_variable_counts_as_unset() -> None:
    """A variable that is set to nothing is as good as none."""
    assert read_settings({"OFFRAMP_KAFKA": "", "OFFRAMP_PORT_OFFSET": ""}) == read_settings({})


def test_an_offset_moves_every_port() -> None:
    """Two checkouts can run side by side, because one number moves all ports."""
    settings = read_settings({"OFFRAMP_PORT_OFFSET": "100"})

    assert settings.kafka == "127.0.0.1:19192"
    assert ":15532/" in settings.postgres
    assert settings.s3.endpoint.endswith(":18433")


def test_an_address_that_is_given_is_external() -> None:
    """What the environment names is used as it is and is not the local stack's to run."""
    settings = read_settings({"OFFRAMP_KAFKA": "a:9092,b:9092", "OFFRAMP_S3": "https://s3.example.org/"})

    assert settings.kafka == "a:9092,b:9092"
    assert settings.s3.endpoint == "https://s3.example.org"
    assert settings.external == {"kafka", "s3"}


def test_timestamps_are_asked_of_nobody_unless_named() -> None:
    """Without the variable there is no authority for timestamps; what is no address is refused by its name."""
    assert read_settings({}).timestamp_authority is None
    named = {"OFFRAMP_TIMESTAMP_AUTHORITY": "https://tsa.example.org/tsr"}
    assert read_settings(named).timestamp_authority == "https://tsa.example.org/tsr"
    with pytest.raises(UnusableSettingError, match="OFFRAMP_TIMESTAMP_AUTHORITY"):
        read_settings({"OFFRAMP_TIMESTAMP_AUTHORITY": "tsa.example.org"})


def test_each_service_has_a_database_of_its_own() -> None:
    """A service's address is derived from the administrator's: same server, own role, own database."""
    settings = read_settings({"OFFRAMP_POSTGRES": "postgresql://admin:pw@db:5432/postgres?sslmode=require"})

    assert settings.dsn("notice") == "postgresql://offramp_notice:offramp-dev@db:5432/offramp_notice?sslmode=require"


def test_a_password_with_signs_in_it_still_makes_an_address() -> None:
    """Signs that mean something in an address are quoted in a password."""
    settings = read_settings({"OFFRAMP_ROLE_PASSWORD": "p@ss/word"})

    assert settings.dsn("notice") == "postgresql://offramp_notice:p%40ss%2Fword@127.0.0.1:15432/offramp_notice"


def test_a_service_may_be_sent_elsewhere() -> None:
    """One service's database can be named by itself."""
    settings = read_settings({"OFFRAMP_NOTICE_DSN": "postgresql://n@elsewhere/n"})

    assert settings.dsn("notice") == "postgresql://n@elsewhere/n"
    assert "127.0.0.1" in settings.dsn("exporter")


def test_a_prefix_gives_a_set_of_topics_of_its_own() -> None:
    """Tests share a broker without meeting, dead letters included."""
    settings = read_settings({"OFFRAMP_TOPIC_PREFIX": "t1-"})

    assert settings.topic("ExportReady") == "t1-ExportReady"
    assert settings.dead_letter_topic("ExportReady") == "dlq.t1-ExportReady"


def test_the_state_folder_lies_in_the_checkout() -> None:
    """The state is where git ignores it, unless it is put elsewhere."""
    assert read_settings({}).home == Path(__file__).parents[2] / ".offramp"
    assert read_settings({"OFFRAMP_HOME": "/srv/state"}).home == Path("/srv/state")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OFFRAMP_PORT_OFFSET", "many"),
        ("OFFRAMP_PORT_OFFSET", "-1"),
        ("OFFRAMP_PORT_OFFSET", "60000"),
        ("OFFRAMP_KAFKA", "localhost"),
        ("OFFRAMP_KAFKA", "kafka://localhost:9092"),
        ("OFFRAMP_POSTGRES", "localhost:5432"),
        ("OFFRAMP_POSTGRES", "postgresql://[half"),
        ("OFFRAMP_NOTICE_DSN", "mysql://x/y"),
        ("OFFRAMP_S3", "s3://bucket"),
        ("OFFRAMP_TOPIC_PREFIX", "a b"),
        ("OFFRAMP_EXPORTS_BUCKET", "Capital"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(name: str, value: str) -> None:
    """An unusable value stops the program with the variable's name, before anything is done."""
    with pytest.raises(UnusableSettingError, match=name):
        read_settings({name: value})


def test_passwords_are_not_shown() -> None:
    """Neither a shown setting nor a refusal repeats a password."""
    settings = read_settings({"OFFRAMP_POSTGRES": "postgresql://a:hush@db/x", "OFFRAMP_S3_SECRET_KEY": "hush"})
    with pytest.raises(UnusableSettingError) as refused:
        read_settings({"OFFRAMP_POSTGRES": "mysql://a:hush@db/x"})

    assert "hush" not in repr(settings)
    assert "hush" not in str(refused.value)
