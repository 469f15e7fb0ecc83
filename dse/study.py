"""A study: one folder with its settings, its measurements and its results, and the steps that fill it."""

from __future__ import annotations

import dataclasses
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from dse.comparison import (
    USEFUL_ACCURACY_LOSS,
    Pace,
    PairedInterval,
    Saving,
    mark_nondominated,
    paired_interval,
    rank_correlation,
    savings,
)
from dse.confidence import Band, bands_of
from dse.config import CONFIG_NAME, StudyConfig, load_config, write_study
from dse.errors import StudyError
from dse.exports.folders import OnExisting
from dse.exports.parameters import export_design
from dse.measurement import measure_formats, outputs_of
from dse.points import StudyPoint
from dse.preparation import Prepared, prepare
from dse.progress import announced
from dse.refinement import Refiner
from dse.refinement_results import Refinement, keep_bands, stored_bands, stored_refinement
from dse.report_data import report_data
from dse.results import Front, FrontResult, MeasuredSaving
from dse.shared_tables import study_tables
from dse.solving import explained, solve_front
from dse.store import Store
from dse.study_keys import front_key, settings_key
from dse.sweep import LossTable, SweepOutcome, accuracy_change, loss_table, run_sweep
from dse.target import cost_correction, target_device
from dse.uniform import solve_uniform, uniform_pairs
from hwmodels.corrections import correcting
from hwmodels.devices import DeviceError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from dse.decision_tables import DecisionTables
    from dse.designs import Design
    from dse.exports.parameters import Exported
    from emulation.calibrated import Formats
    from emulation.losses import Losses
    from emulation.workloads import Samples
    from hwmodels.corrections import CostCorrection
    from hwmodels.devices import Device
    from reports import WrittenReport

CHOSEN_ACCURACY_LOSS = 0.01
"""The design `Study.chosen` names is the cheapest within this of the float network's validation accuracy."""


def default_jobs() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0))


class Study:
    """A study folder, opened for work; only one process can have it open.

    >>> from tempfile import TemporaryDirectory
    >>> from dse.config import check_config
    >>> folder = TemporaryDirectory()
    >>> settings = check_config({"network": {"workload": "digits-mlp"}}, source="here")
    >>> with Study.create(folder.name + "/mlp", settings) as study:
    ...     study.prepared.network.multiply_accumulates(study.prepared.network.engines[0])
    4096
    >>> folder.cleanup()
    """

    def __init__(self, folder: Path) -> None:
        """Open the study in ``folder``; use `create` or `open`."""
        self.folder = folder
        self.config = load_config(folder / CONFIG_NAME)
        self.store = Store(folder)

    @classmethod
    def create(cls, folder: str | Path, config: StudyConfig | None = None) -> Self:
        """Make a study folder with a commented study.toml and open it.

        Raises:
            StudyError: if the folder holds a study already or cannot be written.
        """
        write_study(Path(folder), config or StudyConfig())
        return cls(Path(folder))

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Open the study in a folder; whatever was measured in it before is there.

        Raises:
            StudyError: if there is no study, its file has a mistake, or another process has it open.
        """
        path = Path(folder)
        return cls(path.parent if path.name == CONFIG_NAME else path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let others open the study."""
        self.store.close()

    @cached_property
    def prepared(self) -> Prepared:
        """Network, data and calibration."""
        with announced("reading and calibrating the network"):
            return prepare(self.config)

    @cached_property
    def device(self) -> Device:
        """The device of the study file."""
        return target_device(self.folder, self.config)

    @cached_property
    def correction(self) -> CostCorrection:
        """What the user's own reports make of our costs."""
        return cost_correction(self.folder, self.config, self.device)

    def sweep(self, *, jobs: int | None = None) -> SweepOutcome:
        """Measure the loss of every tensor and layer in every format; only what is missing."""
        _ = self.device  # refused before anything is measured
        return run_sweep(self.prepared, self.store, jobs=jobs or default_jobs())

    def refine(self, *, jobs: int | None = None) -> Refinement:
        """Judge the sensitivity metrics on whole designs, then solve, measure and correct until the front stands still.

        The front solved afterwards rests on the corrected losses. Nothing is done again that is stored.

        Raises:
            StudyError: before the sweep is finished.
            InfeasibleError: as `front`.
        """
        found = self.refinement
        if found is None:
            workers = jobs or default_jobs()

            def solve(losses: LossTable, solves: int) -> Sequence[Design]:
                tables = self._priced.with_losses(losses)
                return solve_front(self.prepared, tables, solves=solves, jobs=workers).designs

            refiner = Refiner(prepared=self.prepared, store=self.store, solve=solve, jobs=workers)
            found = refiner.run(self._settings_key())
            self.store.put("refinement", found.to_json())
            for name in ("refinement", "tables"):
                self.__dict__.pop(name, None)
        return found

    @cached_property
    def refinement(self) -> Refinement | None:
        """What `refine` found for the present settings; None before."""
        return stored_refinement(self.store, self._settings_key())

    def confidence(self, *, jobs: int | None = None) -> tuple[Band, ...]:
        """Bands of the measured designs of the front, from resampled samples and other calibrations; stored."""
        result = self._measured()
        if not self.config.accuracy.resamples:  # a band would have no width, and every order look sure
            return ()
        bands = stored_bands(self.store, result.key)
        if bands is None:
            bands = bands_of(self.prepared, self.store, result.designs, jobs=jobs or default_jobs())
            keep_bands(self.store, result.key, bands)
        return bands

    @cached_property
    def tables(self) -> DecisionTables:
        """What the solver chooses from, with corrected losses after `refine`."""
        refined = self.refinement
        return self._priced if refined is None else self._priced.with_losses(refined.table)

    @cached_property
    def _priced(self) -> DecisionTables:
        """Every choice with its cost, and its loss as the sweep measured it."""
        try:
            losses = loss_table(self.prepared, self.store)
            accuracy_changes = loss_table(self.prepared, self.store, accuracy_change)
            with announced("pricing every choice"), correcting(self.correction):
                return study_tables(self.prepared, losses, accuracy_changes, self.device)
        except DeviceError as error:
            raise StudyError(str(error)) from error

    def front(self, *, jobs: int | None = None) -> Front:
        """Solve for the front, unless this very front is stored already.

        Raises:
            InfeasibleError: if no design meets the caps; says which resource is short and what would help.
        """
        stored = self._stored()
        if stored is not None:
            return self._view(stored)
        solves = self.config.front.solves
        solved = solve_front(self.prepared, self.tables, solves=solves, jobs=jobs or default_jobs())
        result = FrontResult(
            key=self._front_key(),
            designs=solved.designs,
            complete=solved.complete,
            why_incomplete=solved.why_incomplete,
            solves=solved.solves,
            solve_seconds=solved.seconds,
            pace=Pace.ENERGY if self.config.energy.objective else Pace.INTERVAL,
        )
        self._keep(result)
        return self._view(result)

    def measure(self, *, jobs: int | None = None) -> Front:
        """Execute designs whole in hardware mode: all on validation data, then the shown ones once on test data."""
        result = self._required()
        if result.is_measured:
            return self._view(result)
        prepared, workers = self.prepared, jobs or default_jobs()
        mixed = self._validated(result.designs, jobs=workers)
        float_accuracy = prepared.float_yardstick(prepared.validation).accuracy
        uniform = self._uniform(mixed, float_accuracy, jobs=workers)
        found = savings(mixed, uniform, float_accuracy=float_accuracy)
        shown = [one for one, flag in zip(uniform, mark_nondominated(uniform, by=result.pace), strict=True) if flag]
        tested = self._test([*mixed, *shown], jobs=workers)
        by_name = {design.name: design for design in tested}
        kept = [
            Saving(mixed=by_name[saving.mixed.name], uniform=by_name[saving.uniform.name])
            for saving in found
            if saving.uniform.name in by_name
        ][:1]
        result = dataclasses.replace(
            result,
            designs=tuple(by_name[one.name] for one in mixed),
            uniform=tuple(by_name[one.name] for one in shown),
            float_validation_accuracy=float_accuracy,
            float_test_accuracy=prepared.float_yardstick(prepared.test).accuracy,
            rank_correlation=rank_correlation(mixed),
            savings=tuple(
                MeasuredSaving(saving=saving, test=self._paired(saving.mixed, saving.uniform)) for saving in kept
            ),
        )
        self._keep(result)
        return self._view(result)

    def _validated(self, designs: Sequence[Design], *, jobs: int) -> list[Design]:
        losses = self._losses([one.formats for one in designs], self.prepared.validation, "validation", jobs)
        return [one.replace(validation=loss) for one, loss in zip(designs, losses, strict=True)]

    def _uniform(self, mixed: Sequence[Design], float_accuracy: float, *, jobs: int) -> list[Design]:
        """The uniform rivals: pairs of formats accurate enough to be useful, folded best for each interval."""
        pairs = uniform_pairs(self.prepared)
        losses = self._losses([one.formats for one in pairs], self.prepared.validation, "uniform formats", jobs)
        useful = [
            pair
            for pair, loss in zip(pairs, losses, strict=True)
            if loss.accuracy >= float_accuracy - USEFUL_ACCURACY_LOSS
        ]
        intervals = [one.interval_cycles for one in mixed]
        return self._validated(solve_uniform(self.prepared, self.tables, useful, intervals, jobs=jobs), jobs=jobs)

    def _test(self, designs: Sequence[Design], *, jobs: int) -> list[Design]:
        losses = self._losses([one.formats for one in designs], self.prepared.test, "test", jobs)
        return [one.replace(test=loss) for one, loss in zip(designs, losses, strict=True)]

    def _losses(self, formats: Sequence[Formats], samples: Samples, description: str, jobs: int) -> list[Losses]:
        return measure_formats(self.prepared, self.store, formats, samples, jobs=jobs, description=description)

    def _paired(self, first: Design, second: Design) -> PairedInterval:
        samples = self.prepared.test
        correct = [
            outputs_of(self.prepared, design.formats, samples).argmax(axis=1) == samples.labels
            for design in (first, second)
        ]
        return paired_interval(correct[0], correct[1])

    def report(self) -> WrittenReport:
        """Write report.html, the figures and front.csv into the study folder."""
        from reports import write_report

        result = self._measured()
        bands = stored_bands(self.store, result.key) or ()
        data = report_data(self.prepared, self.device, result, refined=self.refinement, bands=bands)
        with announced("writing the report"):
            return write_report(data, self.folder)

    def chosen(self) -> Design:
        """The cheapest measured design within `CHOSEN_ACCURACY_LOSS` of the float network, else the most accurate."""
        result = self._measured()
        floor = (result.float_validation_accuracy or 0.0) - CHOSEN_ACCURACY_LOSS
        good = [one for one in result.designs if one.validation and one.validation.accuracy >= floor]
        if good:
            return min(good, key=lambda one: (one.utilisation, one.validation.divergence if one.validation else 0.0))
        return max(result.designs, key=lambda one: one.validation.accuracy if one.validation else 0.0)

    def export(
        self,
        name: str,
        folder: str | Path | None = None,
        *,
        to: Sequence[str] = (),
        on_existing: OnExisting = OnExisting.REFUSE,
    ) -> Exported:
        """Write the integer parameters of a design, by default into exports/NAME of the study folder.

        ``to`` names targets to translate them into (`dse.exports.targets.load_target`).

        Raises:
            StudyError: for an unknown design or target, one that a target cannot express, or a folder that is taken.
        """
        design = self._required().design(name)
        place = Path(folder) if folder is not None else self.folder / "exports" / design.name
        return export_design(self.prepared, self.device, design, place, targets=to, on_existing=on_existing)

    def point(self, design: str | int) -> StudyPoint:
        """A design of the front, by name or by position from 0, to work on: ``study.point("d04").module()`` trains.

        Raises:
            StudyError: for an unknown design, or a study without a front.
        """
        return StudyPoint(prepared=self.prepared, design=self._required().design(design))

    def explain(self, limits: dict[str, int] | None = None) -> str:
        """Why the caps cannot be met and what would help, or that they can; ``limits`` replace usable resources."""
        return explained(self.prepared, self.tables, limits or {})

    def _front_key(self) -> str:
        return front_key(self._settings_key(), self.refinement)

    def _settings_key(self) -> str:
        return settings_key(self.prepared, self.device, self.correction)

    def _keep(self, result: FrontResult) -> None:
        self.store.put("front", result.to_json())

    def _stored(self) -> FrontResult | None:
        content = self.store.get("front")
        if not isinstance(content, dict) or content.get("key") != self._front_key():
            return None
        try:
            return FrontResult.from_json(content)
        except StudyError:  # written by another version: to be solved again
            return None

    def _required(self) -> FrontResult:
        stored = self._stored()
        if stored is None:
            raise StudyError(f"study {self.folder} has no front for its present settings: run `bitfront front` first")
        return stored

    def _measured(self) -> FrontResult:
        result = self._required()
        if not result.is_measured:
            raise StudyError(f"the front of study {self.folder} is not measured yet: run `bitfront measure` first")
        return result

    def _view(self, result: FrontResult) -> Front:
        import pandas as pd

        from dse.report_data import design_row

        nondominated = result.nondominated
        rows = [
            design_row(self.prepared, design, nondominated=design.name in nondominated) for design in result.designs
        ]
        return Front(result=result, frame=pd.DataFrame(rows))


def open_or_create(folder: Path, config: StudyConfig) -> Study:
    """Open the study in a folder, made with ``config`` if there is none; an existing one keeps its own settings.

    Raises:
        StudyError: if the folder holds a study of another workload, or the workload cannot be prepared (then no folder
            is made).
    """
    if (folder / CONFIG_NAME).exists():
        study = Study.open(folder)
        theirs, ours = study.config.network.workload, config.network.workload
        if theirs != ours:
            study.close()
            raise StudyError(f"{folder} holds a study of {theirs!r}, not of {ours!r}: choose another folder")
        return study
    prepared = prepare(config)
    study = Study.create(folder, config)
    study.prepared = prepared
    return study
