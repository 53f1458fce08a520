"""A run: search, compare, train. What `jaxloss.launch` starts and a notebook can call.

plan = make_plan(config)
with RunDirectory.open(path, plan.config.to_dict(), MAY_CHANGE) as run:
    summary = run_experiment(plan, run, ConsoleProgress())
"""

import dataclasses
import functools
import itertools
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import jax

import jaxloss
from jaxloss.core.abstract import named_errors, numbers_by_name
from jaxloss.core.progress import Progress
from jaxloss.core.types import PyTree
from jaxloss.execution.base import Trial
from jaxloss.execution.choice import Parallelism
from jaxloss.filters.cascade import Cascade
from jaxloss.runs.declared import FILTERS
from jaxloss.runs.directory import RunDirectory
from jaxloss.runs.metrics import MetricWriter
from jaxloss.search.base import FruitlessSearchError
from jaxloss.search.budget import SearchBudget
from jaxloss.search.chooser import Chooser
from jaxloss.search.loop import SearchLoop
from jaxloss.search.restarts import budget_of
from jaxloss.spaces.output_gradients import OutputGradients
from jaxloss.study.baseline import Baseline, train_baseline
from jaxloss.study.calibration import calibrated
from jaxloss.study.clock import Clock
from jaxloss.study.comparison import Compared, Comparison, TestResult
from jaxloss.study.contender import RANDOM_SEARCH, Contender, TuningPoint
from jaxloss.study.declared_filters import filter_declarations
from jaxloss.study.equal_losses import EqualLosses
from jaxloss.study.naming import named
from jaxloss.study.plan import Plan
from jaxloss.study.ranking import Ranked
from jaxloss.study.settings import SEARCH
from jaxloss.study.statistics import FACTORS
from jaxloss.study.tables import result_row
from jaxloss.study.trainings import Job
from jaxloss.study.tuning import best_rival
from jaxloss.study.undone import undone
from jaxloss.tasks.base import SEARCH_EVAL, STORED_MEANINGS, STORED_RANGES, TEST
from jaxloss.tasks.check import check_untrained

EXECUTION = "execution"  # the state in a run's archive that holds how it trains


class Experiment:
    """One run of one config; the archive of `run` decides what is still to be done."""

    def __init__(self, plan: Plan, run: RunDirectory, progress: Progress):
        """Takes up the run where its archive has it."""
        config = plan.config
        self.plan, self.config, self.run, self.progress = plan, config, run, progress
        self.clock = Clock(run)
        self.task, self.space = plan.task, plan.space
        self._store_once(**{STORED_RANGES: self.task.ranges, STORED_MEANINGS: self.task.meanings})
        # Whatever `auto` or a measurement would give later on, a run trains as it began.
        if not self._is_pinned():
            self.run.archive.commit(state={EXECUTION: self._choice()})
        self.parallelism = Parallelism(**run.archive.state(EXECUTION)["way"])
        self.execution = plan.make_execution(self.parallelism)
        self.output_gradients = self._output_gradients()
        self.equal_losses = self._equal_losses()
        self.comparison = Comparison(self.execution, run.archive, plan.comparison, progress, self.equal_losses)
        self.baseline: Baseline | None = None
        self.cascades: Mapping[str, Cascade] = {}
        self.chooser: Chooser | None = None

    def _output_gradients(self) -> OutputGradients | None:
        """Gradients of losses at the outputs that the task offers, if it does."""
        return None if self.task.output_samples is None else OutputGradients(self.space, self.task.output_samples())

    def _equal_losses(self) -> EqualLosses | None:
        """What tells which losses of the space are one, where there are such gradients."""
        if self.output_gradients is None:
            return None
        return EqualLosses(self.output_gradients, self.config.filters.equivalence.scale_free)

    def _store_once(self, **states: Any) -> None:
        """Stores states of the archive, but for those that are there."""
        if missing := {name: state for name, state in states.items() if self.run.archive.state(name) is None}:
            self.run.archive.commit(state=missing)

    def _is_pinned(self) -> bool:
        """Whether the archive says how this run trains, in answer to what the config asks for.

        A run that was killed before it had done anything may go on with another config.
        """
        stored = self.run.archive.state(EXECUTION)
        return stored is not None and stored["asked"] == self._asked()

    def _choice(self) -> dict[str, Any]:
        """How a new run trains, as it is stored: what was asked for, what was chosen, and what was measured."""
        chosen, seconds = self.plan.choose_parallelism()
        return {"asked": self._asked(), "way": dataclasses.asdict(chosen), "seconds": dict(seconds)}

    def _asked(self) -> dict[str, Any]:
        return {"mode": self.config.execution.mode, "lanes": self.config.execution.lanes}

    def close(self) -> None:
        """Stops the threads and the clock."""
        self.execution.close()
        self.clock.stop()

    def check_untrained(self) -> None:
        """A new run looks at the metric of a network before it trains any.

        Raises:
          UserError: see `tasks.check.check_untrained`.
        """
        if not self.run.archive.is_empty():
            return
        # That from which the first training of the search starts.
        check_untrained(self.task, self.execution.untrained_scores(self.config.seed, self.config.comparison.divisions[0]))

    def check_baseline(self) -> None:
        """Trains with the first of the losses that the config names, and warns where that is of no use."""
        if not self.plan.contenders:
            return
        point = self.plan.contenders[0].default(self.rate)
        self._check(Job(self.plan.contenders[0], point, self.config.seed, self.config.comparison.divisions[0]))

    def check_result(self, result: TestResult, stage: str) -> None:
        """Warns where the first training of a loss that was tested in a stage was of no use."""
        division, seed = next(iter(result.scores))
        self._check(Job(result.contender, result.point, seed, division), stage, TEST)

    def _check(self, job: Job, *where: str) -> None:
        self.baseline = train_baseline(self.comparison.trainings, self.run.archive, self.task, job, *where)
        if not self.baseline.learns:
            self.progress.message(self.baseline.warning(self.task.metric))

    @property
    def rate(self) -> float:
        """At which losses are trained as they are: in a search all candidates."""
        return self.budget.learning_rate if self.config.mode == SEARCH else self.config.training.learning_rate

    @property
    def _rate_key(self) -> str:
        return "training.learning_rate" if self.plan.calibration is None else "comparison.learning_rate_high"

    # --- searching -------------------------------------------------------------------------------------------------------------

    @functools.cached_property
    def budget(self) -> SearchBudget:
        """What each search may spend, with the rate that was found for it where one is asked for."""
        if self.plan.calibration is None:
            return self.plan.budget
        budget = calibrated(self.plan.budget, self.config.search.calibration_trainings, self.plan.calibration, self.comparison)
        self.progress.message(
            f"the search trains at the rate {budget.learning_rate:.3g}, the best one tried with {self.plan.calibration.label}"
        )
        return budget

    def make_filters(self) -> None:
        """Makes what judges and chooses candidates, unless it is there: its mistakes come to light before anything is trained."""
        if not self.cascades:
            self.cascades = self.plan.make_cascades(self.execution.pool, self.execution.workers)
            self.chooser = self._make_chooser()

    def search(self, name: str, restart: int = 0) -> SearchLoop:
        """Runs the named search until its budget of trainings is spent; `restart` counts those of one name."""
        self.make_filters()
        loop = self._main_loop(name, restart) if name == self.config.search.name else self._make_loop(name, restart)
        selects = loop.search.kept is not None
        self._store_once(**{FILTERS: [one.to_json() for one in filter_declarations(self.cascades, loop.chooser, selects)]})
        loop.run()
        return loop

    def _main_loop(self, name: str, restart: int) -> SearchLoop:
        """The loop of the search that the config names, the first of which draws curves: a metric writer's steps go up, once."""
        if restart:
            loop = self._make_loop(name, restart, chooser=self._make_chooser())
        else:
            loop = self._make_loop(name, restart, self.run.metrics, self.chooser)
        for text in undone(loop, restart):
            self.progress.message(text)
        return loop

    def _make_loop(
        self, name: str, restart: int, metrics: MetricWriter | None = None, chooser: Chooser | None = None
    ) -> SearchLoop:
        search, budget, archive = self.plan.make_search(name, restart), budget_of(self.budget, restart), self.run.archive
        return SearchLoop(search, self.cascades, self.execution, archive, budget, self.progress, metrics, chooser)

    def _make_chooser(self) -> Chooser | None:
        return self.plan.make_chooser(self.cascades, self.run.checkpoints, self.output_gradients)

    def rank(self, loop: SearchLoop, kind: str, stage: str, of_search: str = "") -> list[Ranked]:
        """The best candidates of a search, ranked again on fresh seeds; those that are no copy are named by their place.

        A loss that the user gave to the search is not passed off as found by it; `of_search` stands before the place.

        Raises:
          FruitlessSearchError: no training of the search ended with finite values.
        """
        best = itertools.islice(loop.search.best(), self.config.comparison.rank_candidates)
        contenders = [Contender(one.text, kind, self.space, one.text) for one in best]
        if not contenders:
            raise FruitlessSearchError(
                f"every training of the {loop.search.label} met NaN or infinity: lower {self._rate_key}, or look for NaN in "
                "the data and in the parameters of the untrained network"
            )
        ranked = self.comparison.rank(contenders, self.rate, stage)
        # The control is given none: what it comes to, it found.
        seeds = () if kind == RANDOM_SEARCH else self.plan.seeds
        return named(ranked, self.space, seeds, of_search, self.comparison.equal_losses)

    # --- comparing -------------------------------------------------------------------------------------------------------------

    def compare(self, contenders: Sequence[Contender]) -> Compared:
        """Tunes the contenders, then tests each of them untuned and tuned; the best rival once more, if that is asked for."""
        rate, contenders = self.rate, list(contenders)
        tunings = self.comparison.tune(contenders, rate)
        if (number := self.config.comparison.best_rival_trainings) and (best := best_rival(contenders, tunings)):
            rival = dataclasses.replace(best, tuning_trainings=number)
            contenders.append(rival)
            tunings += self.comparison.tune([rival], rate, rival.tuning_trainings)
        return self.comparison.test_both(contenders, tunings, rate)

    def rows(self, untuned: Sequence[TestResult], tuned: Sequence[TestResult]) -> list[dict[str, Any]]:
        """The lines of the comparison table."""
        tests = [row for row in self.run.archive.trainings() if row.evaluated_on == TEST]
        return [result_row(*pair, tests) for pair in zip(untuned, tuned, strict=True)]

    def stopped_by_nan(self) -> int:
        """How many of the run's trainings met NaN or infinity."""
        return sum(not row.finite for row in self.run.archive.trainings())

    # --- the network that is kept ----------------------------------------------------------------------------------------------

    def train_network(self, contender: Contender, point: TuningPoint) -> PyTree:
        """The variables of a network that is trained once more with the best loss."""
        seed, division = self.plan.comparison.first_test_seed, self.plan.comparison.divisions[0]
        encoded = contender.encode(point)
        trial = Trial(contender.family, encoded, point.learning_rate, seed, division, SEARCH_EVAL, keep_end=True)
        ((outcome, _),) = self.execution.run([trial])
        return outcome.end.variables

    def keep_network(self, variables: PyTree) -> None:
        """Stores the network as a checkpoint."""
        self.run.checkpoints.save("best_network", variables)

    def final_scores(self, variables: PyTree) -> dict[str, float]:
        """What the task says of the network at the end, on the test split: name -> score; empty where it says nothing."""
        if self.task.final_scores is None:
            return {}
        what = f"final_scores of the task {self.task.name}"
        with named_errors(what):
            found = self.task.final_scores(variables, self.task.data[TEST])
        return numbers_by_name(what, found)

    # --- what is reported ------------------------------------------------------------------------------------------------------

    def facts(self) -> dict[str, Any]:
        """The part of the summary that every mode has."""
        compilations = dict(self.execution.compilations)
        for name, cascade in self.cascades.items():
            compilations |= {f"{kind} {name}": number for kind, number in cascade.compilations.items()}
        if self.output_gradients is not None and self.output_gradients.compilations:
            compilations["output gradients"] = self.output_gradients.compilations
        device = jax.devices()[0]
        return {
            "jaxloss": jaxloss.__version__,
            "jax": jax.__version__,
            "device": device.device_kind,
            "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
            "mode": self.config.mode,
            "execution": dataclasses.asdict(self.parallelism),
            "task": self.task.name,
            "task_details": dict(self.task.details),
            "metric": self.task.metric,
            "also_shown": list(self.task.also_shown),
            # Lists: dictionaries would be sorted in the file.
            "parts": [[title, [list(part) for part in parts.items()]] for title, parts in self.task.parts.items()],
            "space": self.space.name,
            "baseline_check": None if self.baseline is None else self.baseline.to_json(),
            "intervals": list(FACTORS),
            "margin": self.config.comparison.margin,
            "compilations": compilations,
        }
