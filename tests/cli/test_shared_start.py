"""The percents that a proxy starts with, by its own file, or by a store that may be away, empty or too slow."""

import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import pytest

from strangler.cli._shared_start import starting
from strangler.core.rollout.position import Position
from strangler.core.settings import Settings
from strangler.ipc.start import SUCCESSION_VARIABLE
from strangler.state import rollout_file
from strangler.state.rollout_file import KeptPercent
from strangler.store.evidence import stored_rollouts
from strangler.store.evidence.access import location_of, reader
from strangler.store.evidence.stored_rollouts import StoredPosition
from strangler.store.nodes import database_time, read_nodes
from strangler.store.schema.opening import writer
from strangler.store.stored_kill_switch import StoredTurn, save_next
from tests.control.rollout.proxies import rolled
from tests.factories import route, settings
from tests.store.postgres import PostgresServer, running_server


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running_server() as running:
        yield running


@pytest.fixture
def shared(server: PostgresServer, tmp_path: Path) -> Settings:
    """The settings of a node whose file has 50 %, and whose store 25 %."""
    return _node(server.url(), tmp_path)


def _node(url: str | None, folder: Path) -> Settings:
    found = settings((rolled(),), state=str(folder), store=url)
    rollout_file.write(folder, {"orders": KeptPercent(50.0, 3)})
    if url is not None:
        with writer(location_of(found)) as connection:
            stored_rollouts.save(connection, {"orders": StoredPosition(Position(percent=25.0))}, ())
    return found


def test_a_node_alone_starts_with_the_percents_of_its_file(tmp_path: Path) -> None:
    assert starting(_node(None, tmp_path)).percents == {"orders": 50}


def test_a_node_of_several_starts_with_the_stored_percents(shared: Settings) -> None:
    assert starting(shared, {}).percents == {"orders": 25}


@pytest.mark.parametrize(("kept", "percent"), [(50.0, 25.0), (5.0, 5.0)])
def test_beside_a_program_that_is_replaced_no_percent_is_above_its_own(
    shared: Settings, kept: float, percent: float
) -> None:
    rollout_file.write(Path(shared.state), {"orders": KeptPercent(kept, 9)})
    assert starting(shared, {SUCCESSION_VARIABLE: "{}"}).percents == {"orders": percent}


@pytest.mark.parametrize("environ", [{}, {SUCCESSION_VARIABLE: "{}"}], ids=["a start", "a successor"])
def test_a_shared_store_without_its_driver_is_refused_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(click.ClickException, match=re.escape("pip install 'strangler[postgres]'")):
        starting(replace(settings(), store="postgresql://db/shop"), environ)


def test_a_store_that_cannot_be_reached_leaves_the_routes_as_they_are(tmp_path: Path) -> None:
    nobody = settings((route("orders"),), state=str(tmp_path), store="postgresql://nobody@127.0.0.1:1/nothing")
    assert starting(nobody, {}).percents == {}


def test_a_store_that_is_away_or_does_not_respond_means_0_percent_within_2_seconds(
    server: PostgresServer, shared: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    server.send(signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert starting(shared, {}).percents == {}
        assert time.monotonic() - began < 4  # 2 s on a machine that does nothing else
    finally:
        server.send(signal.SIGCONT)
    assert "rollouts start at 0 % until the store is back" in capsys.readouterr().err
    server.stop()
    try:
        assert starting(shared, {}).percents == {}
    finally:
        server.start()
    assert starting(shared, {}).percents == {"orders": 25}


def test_an_empty_store_means_0_percent(server: PostgresServer, tmp_path: Path) -> None:
    with server.connect() as connection:
        connection.execute("CREATE DATABASE empty")
    rollout_file.write(tmp_path, {"orders": KeptPercent(50.0, 3)})
    assert starting(settings((rolled(),), state=str(tmp_path), store=server.url("empty")), {}).percents == {}


def test_the_turns_of_the_kill_switch_are_read_too(shared: Settings) -> None:
    turn = StoredTurn(True, "nonsense", 1_795_000_000.0, "other", "ana")
    with writer(location_of(shared)) as connection:
        save_next(connection, "orders", turn)
    assert starting(shared, {}).turns == {"orders": turn}


def test_a_start_takes_the_name_of_its_node_and_a_successor_has_it_already(shared: Settings) -> None:
    named = replace(shared, node="shop-1")
    starting(named, {SUCCESSION_VARIABLE: "{}"})
    assert "shop-1" not in _names(named)
    starting(named, {})
    assert "shop-1" in _names(named)


def test_a_name_that_another_node_has_is_refused(server: PostgresServer, shared: Settings, tmp_path: Path) -> None:
    named = replace(shared, node="shop-2", state=str(tmp_path / "first"))
    starting(named, {})
    has_ended = threading.Event()

    def go_on() -> None:
        with server.connect() as connection:
            while not has_ended.wait(0.1):
                connection.execute("UPDATE nodes SET heard = heard + 0.1 WHERE node = 'shop-2'")

    first = threading.Thread(target=go_on)
    first.start()
    try:
        with pytest.raises(click.ClickException, match="another node is called 'shop-2'"):
            starting(replace(named, state=str(tmp_path / "second")), {})
    finally:
        has_ended.set()
        first.join()


def _names(at: Settings) -> list[str]:
    with reader(location_of(at)) as connection:
        return [node.node for node in read_nodes(connection, database_time(connection))]
