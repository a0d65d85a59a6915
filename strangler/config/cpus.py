"""The number of CPUs that this process may use, by its affinity and the quota of its control group."""

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def usable_cpus(cgroup: Path = CGROUP, may_run_on: int | None = None) -> int:
    """Return how many CPUs this process may keep busy, at least 1; a quota of 1.5 counts as 2.

    `cgroup`: the folder of the process's own control group, as a container sees it. `may_run_on`: the CPUs of its
    affinity; None: those that the system reports.
    """
    cpus = len(os.sched_getaffinity(0)) if may_run_on is None else may_run_on
    quota = _quota_v2(cgroup) or _quota_v1(cgroup / "cpu")
    return max(1, cpus if quota is None else min(cpus, math.ceil(quota)))


def _quota_v2(folder: Path) -> float | None:
    """Return the quota in CPUs. `cpu.max` holds the microseconds of CPU time per period, or `max`, and the period."""
    words = _words(folder / "cpu.max")
    return _ratio(words[0], words[1]) if len(words) == 2 else None


def _quota_v1(folder: Path) -> float | None:
    quota, period = _words(folder / "cpu.cfs_quota_us"), _words(folder / "cpu.cfs_period_us")
    return _ratio(quota[0], period[0]) if quota and period else None


def _words(path: Path) -> list[str]:
    try:
        return path.read_text("ascii").split()
    except (OSError, ValueError):
        return []


def _ratio(quota: str, period: str) -> float | None:
    """Return quota / period; None where there is no limit, written as `max` or -1."""
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) and int(quota) else None
