"""How much is tried: in the ordinary run always the same, in seconds.

`STRANGLER_FUZZ=50 pytest tests/fuzz` tries fifty times as much, and something else every time.
"""

import os

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("STRANGLER_FUZZ", "1"))


def examples(count: int) -> settings:
    """`count` examples in the ordinary run; a busy machine is no failure."""
    return settings(
        max_examples=count * TIMES,
        derandomize=TIMES == 1,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
