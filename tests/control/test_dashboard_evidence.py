"""The dashboard's cache of queries."""

from pathlib import Path

from strangler.control.dashboard.cached_queries import EvidenceState
from strangler.store.file_store import FileStore
from strangler.store.schema import prepare_file
from tests.factories import route, settings


async def test_so_many_answers_are_kept_and_no_more(tmp_path: Path) -> None:
    names = [f"r{number}" for number in range(80)]
    store, evidence = FileStore(tmp_path / "strangler.db", prepare_file), EvidenceState()
    in_force = settings(routes=[route(name, prefix=f"/{name}") for name in names])
    for name in names:
        await evidence.readiness(store, in_force, name)
    assert [of for _, of in evidence._kept] == names[-64:]
    await store.close()
