"""Names that secrets have, and names that only look alike."""

from __future__ import annotations

import pytest

from shared.datamap.columns import LiveColumn
from shared.datamap.secrets import secret_name


def is_secret(name: str, table: str = "things", kind: str = "text") -> bool:
    """Tell whether a column of this name is taken for a secret."""
    return secret_name(table, LiveColumn(name, kind, True, 1, base=kind))  # noqa: FBT003


@pytest.mark.parametrize(
    "name",
    [
        *("password", "password_hash", "passwordHash", "encrypted_password", "password2", "quitpassword", "pwd"),
        *("token", "apiToken", "privatetoken", "refresh_token", "session_token", "secret", "clientsecret", "salt"),
        *("api_key", "privateKey", "signing_key", "sharekey", "sesskey", "session_id", "pin", "recovery_codes"),
    ],
)
def test_a_secret_is_known_by_its_name(name: str) -> None:
    """Run together with other words, in any case, hashed or not."""
    assert is_secret(name)


@pytest.mark.parametrize(
    "name", ["keywords", "key", "bypass", "shape", "tokenizer", "author", "pinned", "secretary", "password_changed_at"]
)
def test_what_only_looks_alike_is_none(name: str) -> None:
    """A word that begins or ends like a secret's is shown."""
    assert not is_secret(name)


def test_a_number_or_a_time_is_no_secret() -> None:
    """How many tokens there were, and when a password was changed, lets nobody in."""
    assert not is_secret("prompt_token", kind="bigint")
    assert not is_secret("password", kind="timestamp with time zone")


def test_in_a_table_of_secrets_the_value_is_one() -> None:
    """What is merely called a value elsewhere is a key in a table of keys."""
    assert is_secret("value", table="user_private_key")
    assert not is_secret("value", table="settings")
