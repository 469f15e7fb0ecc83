"""Trained networks and their data, ready to explore; `digits` is the default, README.md lists them all."""

from emulation.tasks import Answers, Task, TaskMetric
from emulation.workloads.catalogue import (
    FloatScore,
    LoadedWorkload,
    Workload,
    find_workload,
    load_workload,
    workload_names,
)
from emulation.workloads.packages import Package, Program
from emulation.workloads.samples import Samples, Splits

__all__ = [
    "Answers",
    "FloatScore",
    "LoadedWorkload",
    "Package",
    "Program",
    "Samples",
    "Splits",
    "Task",
    "TaskMetric",
    "Workload",
    "find_workload",
    "load_workload",
    "workload_names",
]
