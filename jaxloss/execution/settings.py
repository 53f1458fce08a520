"""How trainings are carried out, as far as the user says it."""

import dataclasses

from jaxloss.core.conditions import when
from jaxloss.core.settings import Settings, setting
from jaxloss.tasks.dispatch import DISPATCHES

AUTO, SERIAL, VMAP, PMAP, DATA_PARALLEL, MEASURE = "auto", "serial", "vmap", "pmap", "data_parallel", "measure"
EXECUTION_MODES = (AUTO, SERIAL, VMAP, PMAP, DATA_PARALLEL, MEASURE)


@dataclasses.dataclass(frozen=True)
class ExecutionSettings(Settings, section="execution"):
    """How trainings are carried out; the choice is pinned in the run."""

    mode: str = setting(
        AUTO,
        "serial: one by one, in threads. vmap: many in one step. pmap: many on each of several devices. data_parallel: each "
        "batch divided over several devices, for one large network at a time. auto: serial on a CPU, else vmap or pmap. "
        "measure: the fastest of the first steps",
        choices=EXECUTION_MODES,
    )
    lanes: int = setting(
        0,
        "Trainings in one step on each device; 0: what its memory holds, and a search can fill",
        low=0,
        high=100_000,
        acts_when=(when("execution.mode", AUTO, VMAP, PMAP, MEASURE),),
    )
    workers: int = setting(
        0,
        "Trainings side by side (serial); 0: one per core, at most 4. The results do not depend on it",
        low=0,
        high=1_024,
        may_change=True,
    )
    dispatch: str = setting(
        "auto",
        "whole: one call per training. steps: one per step. parts: three per step, with the loss compiled for its candidate "
        "(serial alone; else as steps). auto: what suits",
        choices=DISPATCHES,
    )
