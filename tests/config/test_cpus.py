"""How many CPUs `workers: auto` counts."""

from pathlib import Path

import pytest

from strangler.config.cpus import usable_cpus
from strangler.config.load import parse
from tests.config.files import TOP


@pytest.mark.parametrize(
    ("files", "may_run_on", "cpus"),
    [
        pytest.param({}, 8, 8, id="no control group"),
        pytest.param({"cpu.max": "max 100000"}, 8, 8, id="no quota"),
        pytest.param({"cpu.max": "200000 100000"}, 8, 2, id="a quota"),
        pytest.param({"cpu.max": "150000 100000"}, 8, 2, id="a part of a CPU counts as one"),
        pytest.param({"cpu.max": "10000 100000"}, 8, 1, id="at least one"),
        pytest.param({"cpu.max": "1600000 100000"}, 4, 4, id="a quota beyond the affinity"),
        pytest.param({"cpu.max": "soon"}, 8, 8, id="not understood"),
        pytest.param({"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 8, 3, id="version 1"),
        pytest.param({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8, 8, id="version 1, no quota"),
    ],
)
def test_it_counts_what_may_be_kept_busy(tmp_path: Path, files: dict[str, str], may_run_on: int, cpus: int) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{text}\n")
    assert usable_cpus(tmp_path, may_run_on) == cpus


def test_auto_is_that_number() -> None:
    loaded = parse(f"{TOP}workers: auto\n", "routes.yaml", {})
    assert loaded.settings is not None
    assert loaded.settings.workers == usable_cpus()
