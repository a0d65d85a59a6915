"""Requirements of tests on the system: without them a test is skipped, and fails in CI, which installs them."""

import os

import pytest


def require(missing: str) -> None:
    """End the test if `missing` names anything: what is not there, and how to get it."""
    if not missing:
        return
    if os.environ.get("CI"):
        pytest.fail(f"missing in CI: {missing}")
    pytest.skip(f"missing: {missing}")
