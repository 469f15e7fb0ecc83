"""Trained networks and their data, ready to explore: `digits` (default), `digits-deep` and `digits-mlp`."""

from emulation.workloads.catalogue import (
    FloatScore,
    LoadedWorkload,
    TaskMetric,
    Workload,
    find_workload,
    load_workload,
    workload_names,
)
from emulation.workloads.samples import Samples, Splits

__all__ = [
    "FloatScore",
    "LoadedWorkload",
    "Samples",
    "Splits",
    "TaskMetric",
    "Workload",
    "find_workload",
    "load_workload",
    "workload_names",
]
