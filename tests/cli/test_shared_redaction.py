"""The key by which commands redact where several nodes share a store."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from strangler.cli._shared_redaction import shared_redaction_key
from strangler.core.settings import Settings
from strangler.state.files import APPROVAL_KEY, REDACTION_KEY, WEBHOOK_KEY
from strangler.state.fleet_keys import keep
from strangler.store import schema_versions, sealed_keys
from strangler.store.postgres import tables_of
from strangler.store.sealed_keys import seal
from tests.factories import settings
from tests.store.postgres import server

SECRET = "a secret of all nodes, of 16 or more"
KEY = bytes(range(32))


@pytest.fixture(scope="module")
def postgres() -> Iterator[psycopg.Connection]:
    with server() as connection:
        connection.execute(tables_of(schema_versions.SCHEMA + sealed_keys.SCHEMA).encode())
        yield connection


def of_store(folder: Path, host: str) -> Settings:
    return replace(settings(), state=str(folder), store=f"postgresql://tests@/postgres?host={host}")


def test_without_a_shared_store_there_is_none(tmp_path: Path) -> None:
    assert shared_redaction_key(replace(settings(), state=str(tmp_path)), {}) is None


def test_it_is_that_of_the_store_and_nothing_else(
    postgres: psycopg.Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = of_store(tmp_path, postgres.info.host)
    environ = {"STRANGLER_STORE_SECRET": SECRET}
    (tmp_path / REDACTION_KEY).write_bytes(bytes(32))
    with pytest.raises(SystemExit):
        shared_redaction_key(fleet, environ)
    assert "no node has sealed" in capsys.readouterr().err
    postgres.execute("INSERT INTO sealed_keys VALUES (%s, %s)", (REDACTION_KEY, seal(REDACTION_KEY, KEY, SECRET)))
    assert shared_redaction_key(fleet, environ) == KEY
    for wrong in ({}, {"STRANGLER_STORE_SECRET": "another secret of 16 or more"}):
        with pytest.raises(SystemExit):
            shared_redaction_key(fleet, wrong)
        assert "the redaction key that all nodes share cannot be read" in capsys.readouterr().err
    assert (tmp_path / REDACTION_KEY).read_bytes() == bytes(32)


def test_a_copy_of_it_in_the_state_folder_needs_no_store(tmp_path: Path) -> None:
    keep(tmp_path, {APPROVAL_KEY: b"approval", REDACTION_KEY: KEY, WEBHOOK_KEY: b"whsec_"})
    assert shared_redaction_key(of_store(tmp_path, "/nowhere"), {}) == KEY
