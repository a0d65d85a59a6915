"""Without the extras the proxy runs, and says what to install."""

import subprocess
import sys

import pytest

KAFKA = """
import sys
sys.modules["aiokafka"] = None
from strangler.control.events.kafka import MISSING
print(MISSING)
"""
OTEL = """
import sys
from dataclasses import replace
sys.modules["opentelemetry.sdk.trace"] = None
from strangler.control.tracing import TracingState
from strangler.core.settings import TracingSettings
from tests.factories import settings
state = TracingState(replace(settings(), tracing=TracingSettings("http://127.0.0.1:4318", 0.01)))
print(state.problem, state.status())
"""


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param(KAFKA, "events.kafka needs the extra: pip install 'strangler[kafka]'", id="kafka"),
        pytest.param(OTEL, "tracing.otlp needs the extra: pip install 'strangler[otel]'", id="otel"),
    ],
)
def test_a_missing_extra_is_named(code: str, expected: str) -> None:
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert ran.stdout.splitlines()[-1].startswith(expected)
