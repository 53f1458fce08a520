"""How far a run is, and about how long it will take: trainings done, those that its config plans, and the pace."""

import collections
import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxloss.report.searches import labels_of
from jaxloss.runs.archive import CLOCK
from jaxloss.runs.directory import Run
from jaxloss.runs.rows import RANK, SHORTEN

# So many trainings say what pace a run has now.
_ENOUGH = 5


@dataclasses.dataclass(frozen=True)
class Look:
    """A run at one moment.

    Attributes:
      stage: of the last training, or '' where there is none yet.
      stage_done: trainings of this stage.
      stage_planned: how many it will have, or None where the config does not say.
      trainings: all of them.
      done: those of planned stages.
      planned: how many these will have, at most; None in modes whose number follows from what they find.
      left_elsewhere: of those that are to be done, the ones behind the searches while a search goes on: no filter delays them.
      seconds_each: of a training, in the mean.
      seconds: wall time of the run, as far as it is stored.
    """

    stage: str
    stage_done: int
    stage_planned: int | None
    trainings: int
    done: int
    planned: int | None
    left_elsewhere: int
    seconds_each: float
    seconds: float


def look_at(run: Run) -> Look:
    """What the archive says now."""
    rows, planned = run.archive.trainings(), planned_trainings(run.config)
    stage = rows[-1].stage if rows else ""
    done = collections.Counter(row.stage for row in rows)
    searches = {label for labels in labels_of(run.config) for label in labels}
    behind = [name for name in planned if stage in searches and name not in searches]
    return Look(
        stage,
        done[stage],
        planned.get(stage),
        len(rows),
        # What was asked for earlier may have been more.
        sum(min(done[name], number) for name, number in planned.items()),
        sum(planned.values()) or None,
        sum(max(0, planned[name] - done[name]) for name in behind),
        sum(row.seconds for row in rows) / max(1, len(rows)),
        float((run.archive.state(CLOCK) or {}).get("seconds", 0.0)),
    )


def planned_trainings(config: Mapping[str, Any]) -> dict[str, int]:
    """Stage -> its trainings, as the config plans them: fewer where searches find fewer losses; nothing for other modes.

    Args:
      config: of a run, nested.
    """
    mode, comparison = config.get("mode", ""), config.get("comparison", {})
    try:
        divisions = len(comparison["divisions"]) or comparison["num_divisions"]
        pairs = divisions * comparison["test_seeds"]
        if mode == "train":
            return {"train": pairs}
        if mode == "compare":
            return _of_comparison(len(config["losses"]), comparison, pairs)
        return _of_search(config, comparison, pairs) if mode == "search" else {}
    except KeyError:  # a config of another version
        return {}


def _of_search(config: Mapping[str, Any], comparison: Mapping[str, Any], pairs: int) -> dict[str, int]:
    search = config["search"]
    calibration = search["calibration_trainings"]
    main, control = labels_of(config)
    labels = [*main, *(control if search["control"] else [])]
    stages = {"calibrate": calibration} if calibration else {}
    stages |= dict.fromkeys(labels, search["num_trainings"] - calibration)
    per_ranking = comparison["rank_candidates"] * comparison["rank_seeds"]
    stages[RANK] = per_ranking * len(main)
    if len(labels) > len(main):
        stages[f"{RANK} random_search"] = per_ranking * len(control)
    contenders = comparison["num_found"] * len(labels) + len(comparison["handcrafted"])
    # At most: what is shorter and as good takes part as well, which nobody knows before.
    shortening = {SHORTEN: number} if (number := comparison.get("shortening_trainings", 0)) else {}
    return stages | _of_comparison(contenders, comparison, pairs) | shortening


def _of_comparison(contenders: int, comparison: Mapping[str, Any], pairs: int) -> dict[str, int]:
    tuning = contenders * comparison["tuning_trainings"] + comparison["best_rival_trainings"]
    return {"tune": tuning, "test untuned": contenders * pairs, "test tuned": contenders * pairs}


class Pace:
    """Tells how long a run will take from looks at it: by what was done since the first look, where that is enough."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def seconds_left(self, look: Look, now: float) -> float | None:
        """About how many seconds the run will take, or None where that cannot be said yet.

        Args:
          look: at the run.
          now: on any clock that goes on evenly, in seconds.
        """
        if look.planned is None or not look.done:
            return None
        self._first = self._first or (now, look.done)
        since, before = now - self._first[0], look.done - self._first[1]
        # All that was done took so long as the archive says, in which the filters of a search are part.
        each = since / before if before >= _ENOUGH else look.seconds / look.done
        return each * (look.planned - look.done - look.left_elsewhere) + look.seconds_each * look.left_elsewhere
