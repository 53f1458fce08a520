"""A run: search, compare, train. What `jaxloss.launch` starts and a notebook can call.

with RunDirectory.open(path, config.to_dict(), MAY_CHANGE) as run:
    summary = run_experiment(make_plan(config), run, ConsoleProgress())
"""

import dataclasses
import itertools
import math
import platform
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax

import jaxloss
from jaxloss.core.errors import UserError
from jaxloss.core.progress import Progress
from jaxloss.execution.base import Trial
from jaxloss.execution.choice import Parallelism
from jaxloss.filters.cascade import Cascade
from jaxloss.runs.directory import RunDirectory
from jaxloss.runs.rows import FILTERS, TrainingRow
from jaxloss.search.chooser import NOT_PROMISING, Chooser
from jaxloss.search.chooser import STAGE as CHOICE
from jaxloss.search.loop import SearchLoop
from jaxloss.study.comparison import Comparison, Ranked, TestResult, paired_difference
from jaxloss.study.contender import HANDCRAFTED, Contender, Setting
from jaxloss.study.plan import Plan
from jaxloss.tasks.base import SEARCH_EVAL, STORED_RANGES, TEST
from jaxloss.tasks.check import check_untrained

CLOCK, EXECUTION = "clock", "execution"


class Clock:
    """Wall time over all starts of a run, stored in every transaction: a killed start counts as far as its work was kept.

    A start that finds the run finished and adds nothing to it does not count.
    """

    def __init__(self, run: RunDirectory):
        """Goes on from what is stored."""
        self._archive = run.archive
        self._earlier = (run.archive.state(CLOCK) or {}).get("seconds", 0.0)
        self._started = time.perf_counter()
        self._counts = run.read_summary() is None
        self._total: float | None = None
        run.archive.every_commit = self._state

    def stop(self) -> float:
        """Stores and returns the seconds; a second call returns the same."""
        if self._total is None:
            self._total = self._seconds() if self._counts else self._earlier
            if self._counts:
                self._archive.commit()
        return self._total

    def _seconds(self) -> float:
        return self._earlier + time.perf_counter() - self._started

    def _state(self) -> dict[str, Any]:
        self._counts = True
        return {CLOCK: {"seconds": self._seconds() if self._total is None else self._total}}


class Experiment:
    """One run of one config; the archive of `run` decides what is still to be done."""

    def __init__(self, plan: Plan, run: RunDirectory, progress: Progress):
        """Takes up the run where its archive has it."""
        config = plan.config
        self.plan, self.config, self.run, self.progress = plan, config, run, progress
        self.clock = Clock(run)
        self.task, self.space = plan.task, plan.space
        if run.archive.state(STORED_RANGES) is None:
            run.archive.commit(state={STORED_RANGES: self.task.ranges})
        self.parallelism = self._pinned_parallelism()
        self.execution = plan.make_execution(self.parallelism)
        self.comparison = Comparison(self.execution, run.archive, plan.comparison, progress)
        self.loops: dict[str, SearchLoop] = {}
        self.cascades: dict[str, Any] = {}

    def _pinned_parallelism(self) -> Parallelism:
        """How this run trains: chosen as it begins, whatever `auto` or a measurement would give later on."""
        asked = {"mode": self.config.execution.mode, "lanes": self.config.execution.lanes}
        stored = self.run.archive.state(EXECUTION)
        # A run that was killed before it had done anything may go on with another config.
        if stored is None or stored["asked"] != asked:
            chosen, seconds = self.plan.choose_parallelism()
            stored = {"asked": asked, "way": dataclasses.asdict(chosen), "seconds": dict(seconds)}
            self.run.archive.commit(state={EXECUTION: stored})
        return Parallelism(**stored["way"])

    def close(self) -> None:
        """Stops the threads and the clock."""
        self.execution.close()
        self.clock.stop()

    def check_untrained(self) -> None:
        """A new run looks at the metric of a network before it trains any.

        Raises:
          UserError: see `tasks.check.check_untrained`.
        """
        if self.run.archive.candidates() or self.run.archive.trainings():
            return
        check_untrained(self.task, self.execution.untrained_scores(self.config.seed, self.config.comparison.divisions[0]))

    # --- searching -------------------------------------------------------------------------------------------------------------

    def search(self, name: str) -> SearchLoop:
        """Runs the named search until its budget of trainings is spent."""
        if not self.cascades:
            self.cascades = self.plan.make_cascades(self.execution.pool, self.execution.workers)
        search = self.plan.make_search(name)
        # Only the main search draws curves: the steps of a metric writer go up, once.
        metrics, chooser = None, None
        if name == self.config.search.name:
            metrics = self.run.metrics
            chooser = self.plan.make_chooser(self.cascades, self.run.checkpoints)
            if chooser is not None and chooser.candidates(self.config.search.num_trainings - 1) == 1:
                self.progress.message("search.num_trainings ends before search.chooser.start_after: nothing will be chosen")
        if self.run.archive.state(FILTERS) is None:
            self.run.archive.commit(state={FILTERS: declarations(self.cascades, chooser)})
        loop = SearchLoop(
            search, self.cascades, self.execution, self.run.archive, self.plan.budget, self.progress, metrics, chooser
        )
        loop.run()
        self.loops[name] = loop
        return loop

    def leaders(self, loop: SearchLoop, kind: str, stage: str) -> list[Ranked]:
        """The best candidates of a search, ranked again on fresh seeds; those that are no copy are named by their place.

        A loss that the user gave to the search is not passed off as found by it.
        """
        given = {self.space.key(self.space.parse(text)) for text in self.config.search.seeds}
        best = itertools.islice(loop.search.best(), self.config.comparison.rank_candidates)
        contenders = [Contender(one.text, kind, self.space, one.text) for one in best]
        if not contenders:
            raise UserError(f"every training of the {loop.search.name} met NaN or infinity: lower training.learning_rate")
        ranked = self.comparison.rank(contenders, self.config.training.learning_rate, stage)
        names = (f"{kind.replace('_', ' ')} {place}" for place in itertools.count(1))

        def named(one: Ranked) -> Ranked:
            is_given = self.space.key(self.space.parse(one.contender.formula)) in given
            name = next(names) + (" (a seed)" if is_given else "")
            return dataclasses.replace(one, contender=dataclasses.replace(one.contender, name=name))

        return [one if one.same_as else named(one) for one in ranked]

    # --- comparing -------------------------------------------------------------------------------------------------------------

    def compare(self, contenders: Sequence[Contender]) -> tuple[list[TestResult], list[TestResult]]:
        """Tunes the contenders, then tests each of them untuned and tuned."""
        rate = self.config.training.learning_rate
        tuned = self.comparison.tune(contenders, rate)
        contenders = list(contenders)
        if rival := self._best_rival(contenders, tuned):
            contenders.append(rival)
            tuned += self.comparison.tune([rival], rate, self.config.comparison.best_rival_trainings)
        untuned_settings = [contender.default(rate) for contender in contenders]
        untuned = self.comparison.test(contenders, untuned_settings, [math.nan] * len(contenders), "test untuned")
        settings, scores = zip(*tuned, strict=True)
        return untuned, self.comparison.test(contenders, settings, scores, "test tuned")

    def _best_rival(self, contenders: Sequence[Contender], tuned: Sequence[tuple[Setting, float]]) -> Contender | None:
        """The hand-crafted loss with the best tuned score on search_eval, under a name of its own; None where none is wanted."""
        scores = {one: score for one, (_, score) in zip(contenders, tuned, strict=True) if one.kind == HANDCRAFTED}
        number = self.config.comparison.best_rival_trainings
        if not number or not scores:
            return None
        best = max(scores, key=scores.get)
        return dataclasses.replace(best, name=f"{best.name} ({number} tuning trainings)")

    def rows(self, untuned: Sequence[TestResult], tuned: Sequence[TestResult]) -> list[dict[str, Any]]:
        """The lines of the comparison table."""
        tests = [row for row in self.run.archive.trainings() if row.evaluated_on == TEST]
        return [result_row(*pair, tests) for pair in zip(untuned, tuned, strict=True)]

    def stopped_by_nan(self) -> int:
        """How many of the run's trainings met NaN or infinity."""
        return sum(not row.finite for row in self.run.archive.trainings())

    def keep_network(self, contender: Contender, setting: Setting) -> dict[str, float]:
        """Trains the network once more with the best loss, and stores it as a checkpoint; what the task says of it at the end."""
        encoded = contender.encode(setting)
        comparison = self.config.comparison
        seed = comparison.seed + 2000
        trial = Trial(contender.family, encoded, setting.learning_rate, seed, comparison.divisions[0], SEARCH_EVAL, keep_end=True)
        ((outcome, _),) = self.execution.run([trial])
        self.run.checkpoints.save("best_network", outcome.end.variables)
        if self.task.final_scores is None:
            return {}
        return dict(self.task.final_scores(outcome.end.variables, self.task.data[TEST]))

    # --- what is reported ------------------------------------------------------------------------------------------------------

    def facts(self) -> dict[str, Any]:
        """The part of the summary that every mode has."""
        compilations = dict(self.execution.compilations)
        for name, cascade in self.cascades.items():
            compilations |= {f"{kind} {name}": number for kind, number in cascade.compilations.items()}
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
            "space": self.space.name,
            "margin": self.config.comparison.margin,
            "compilations": compilations,
        }


def declarations(cascades: Mapping[str, Cascade], chooser: Chooser | None) -> list[dict[str, Any]]:
    """What the filters of all branches may stop a draw for: `stage` and `reasons` (label -> words), in order.

    A chooser stands behind them, as one more stage.
    """
    stages: dict[str, dict[str, str]] = {}
    for one in sorted((one for cascade in cascades.values() for one in cascade.filters), key=lambda one: one.cost):
        stages.setdefault(one.stage, {}).update({reason.label: reason.words for reason in one.reasons})
    if chooser is not None:
        stages[CHOICE] = {NOT_PROMISING.label: NOT_PROMISING.words}
    return [{"stage": stage, "reasons": reasons} for stage, reasons in stages.items()]


def result_row(untuned: TestResult, tuned: TestResult, tests: Sequence[TrainingRow]) -> dict[str, Any]:
    """One line of the comparison table; `tests` are the trainings of the archive that were scored on the test split."""
    contender = tuned.contender
    return {
        "name": contender.name,
        "kind": contender.kind,
        "formula": contender.formula,
        "untuned": _result(untuned, tests),
        "tuned": _result(tuned, tests),
    }


def _result(result: TestResult, tests: Sequence[TrainingRow]) -> dict[str, Any]:
    interval, setting = result.interval, result.setting
    wanted = (result.contender.identity, dict(setting.hyperparameters), setting.learning_rate)
    # A pair that is in two stages under one setting is the same training: it counts once.
    own = {(row.division, row.seed): row for row in tests if (row.loss, row.hyperparameters, row.learning_rate) == wanted}
    rows = [own[pair] for pair in result.scores if pair in own]
    names = sorted({name for row in rows for name in row.scores})
    return {
        "learning_rate": result.setting.learning_rate,
        "hyperparameters": dict(result.setting.hyperparameters),
        "search_eval": None if math.isnan(result.search_eval) else result.search_eval,
        "test_mean": interval.mean,
        "test_ci95": [interval.low, interval.high],
        "test_deviation": interval.deviation,
        # A training that was stopped by NaN or infinity scores 0, which says little without this number.
        "stopped_by_nan": sum(not row.finite for row in rows),
        "test_means": {name: sum(row.scores.get(name, 0.0) for row in rows) / len(rows) for name in names},
        "scores": [[division, seed, score] for (division, seed), score in result.scores.items()],
        # Every score of the task, in the order of `scores`.
        "test_scores": {name: [row.scores.get(name, 0.0) for row in rows] for name in names},
    }


def difference_rows(first: TestResult, others: Sequence[TestResult], margin: float) -> list[dict[str, Any]]:
    """How one tuned loss stands against each of the others, paired over divisions and seeds."""
    rows = []
    for other in others:
        interval = paired_difference(first, other)
        if interval.low > 0:
            verdict = "leads"
        elif interval.high < 0:
            verdict = "is behind"
        else:
            verdict = "ties"
        rows.append(
            {
                "first": first.contender.name,
                "second": other.contender.name,
                "mean": interval.mean,
                "ci95": [interval.low, interval.high],
                "pairs": interval.count,
                "verdict": verdict,
                "not_behind": interval.low > -margin,
            }
        )
    return rows
