"""How many CPUs the processes of this machine may use, as the kernel limits this one."""

from __future__ import annotations

import os
from math import ceil, inf
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def usable_cpus(*, cgroups: Path = _CGROUPS, of_process: Path = Path("/proc/self/cgroup")) -> int:
    """Return the CPUs that this process may use: by its affinity, and by the quota of its cgroup.

    A quota of one and a half CPUs counts as two.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = min((_quota(folder) for folder in _folders(cgroups, of_process)), default=inf)
    return max(min(allowed or 1, ceil(quota) if quota < inf else inf), 1)  # type: ignore[return-value]


def _folders(cgroups: Path, of_process: Path) -> list[Path]:
    """Return the folders of the cgroup and of those around it: each may have a quota."""
    try:
        lines = of_process.read_text().splitlines()
    except OSError:
        return []
    found = []
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        if controllers == "" or "cpu" in controllers.split(","):
            root = cgroups / controllers
            inner = root / path.strip("/")
            found += [each for each in (inner, *inner.parents) if each.is_relative_to(root)]
    return found


def _quota(folder: Path) -> float:
    """Return how many CPUs a cgroup may use at a time, by version 2 or 1 of its files."""
    try:
        quota, period = _words(folder)
        return int(quota) / int(period) if int(quota) > 0 else inf
    except (OSError, ValueError):
        return inf  # it has none: "max" is no number


def _words(folder: Path) -> list[str]:
    if (folder / "cpu.max").exists():
        return (folder / "cpu.max").read_text().split()
    names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    return [(folder / name).read_text().strip() for name in names]
