"""All tests run side by side, one file at a time in each process; what is named on the command line runs in one."""

import os

import pytest
from hypothesis import settings

settings.register_profile("unhurried", settings.default, deadline=None)  # a busy machine is no failure
settings.load_profile("unhurried")

SLOW_FIRST = ("tests/e2e/", "tests/kafka/")
"""Files of one long test after the other: begun last, one process would end alone with them."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process more than CPUs, up to four: most tests wait for sockets and processes, few compute."""
    if config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return 0
    return min((os.cpu_count() or 1) + 1, 4)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(SLOW_FIRST))
