"""How trainings are carried out, as far as the user says it."""

import dataclasses

from jaxloss.core.conditions import when
from jaxloss.core.errors import UserError
from jaxloss.core.settings import Settings, setting
from jaxloss.tasks.dispatch import DISPATCHES

AUTO, SERIAL, VMAP, PMAP, DATA_PARALLEL, MEASURE = "auto", "serial", "vmap", "pmap", "data_parallel", "measure"
EXECUTION_MODES = (AUTO, SERIAL, VMAP, PMAP, DATA_PARALLEL, MEASURE)
# Where the trainings are carried out.
LOCAL, RAY = "local", "ray"
EXECUTORS = (LOCAL, RAY)
# How the processes of one run find each other.
ALONE, GIVEN, AUTOMATIC = "alone", "given", "automatic"


@dataclasses.dataclass(frozen=True)
class DistributedSettings(Settings, section="execution.distributed", acts_when=(when("execution.mode", DATA_PARALLEL),)):
    """Several processes that carry out each training together, with a share of the batch each."""

    start: str = setting(
        ALONE,
        "alone: one process. given: by the keys below. automatic: what JAX finds on TPU pods, under SLURM and Open MPI",
        choices=(ALONE, GIVEN, AUTOMATIC),
        may_change=True,
    )
    coordinator: str = setting(
        "",
        "HOST:PORT of process 0, which holds the archive",
        may_change=True,
        acts_when=(when("execution.distributed.start", GIVEN),),
    )
    num_processes: int = setting(
        1, "How many there are", low=1, high=100_000, may_change=True, acts_when=(when("execution.distributed.start", GIVEN),)
    )
    process_id: int = setting(
        0,
        "The number of this one, from 0",
        low=0,
        high=99_999,
        may_change=True,
        acts_when=(when("execution.distributed.start", GIVEN),),
    )

    def __post_init__(self):
        super().__post_init__()
        if self.start != GIVEN:
            return
        host, _, port = self.coordinator.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            raise UserError(
                f"config key {self.key('coordinator')} must be HOST:PORT of the machine of process 0, not '{self.coordinator}'"
            )
        if self.process_id >= self.num_processes:
            raise UserError(
                f"config key {self.key('process_id')} must be below num_processes, {self.num_processes}, not {self.process_id}"
            )


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
        "Trainings side by side (serial); 0: one per core, at most 4. With executor=ray: workers; 0: one per accelerator of "
        "the cluster, or per core where it has none. The results do not depend on it",
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
    executor: str = setting(
        LOCAL,
        "local: trainings in this process. ray: on workers of a Ray cluster, each with one device of its own and carrying "
        "trainings out by execution.mode. On devices of one kind the results do not depend on it",
        choices=EXECUTORS,
        may_change=True,
    )
    address: str = setting(
        "",
        "Of the Ray cluster: HOST:PORT of its head, auto for the one that this machine belongs to; empty starts one here",
        may_change=True,
        acts_when=(when("execution.executor", RAY),),
    )

    distributed: DistributedSettings = dataclasses.field(default_factory=DistributedSettings)

    def __post_init__(self):
        super().__post_init__()
        if self.executor == RAY and self.mode in (PMAP, DATA_PARALLEL):
            raise UserError(
                f"execution.executor=ray gives each worker one device, and execution.mode={self.mode} needs several: choose "
                "serial, vmap, measure or auto"
            )
