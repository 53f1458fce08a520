"""What a task may look at beside its own settings."""

import dataclasses

from jaxloss.core.problem import MINIMUM_GAIN, PROBABILITY


@dataclasses.dataclass(frozen=True)
class TaskContext:
    """The rest of a run, as far as tasks may look at it.

    A task of the registry that reads a key of another section says so in the `reads` of its settings class; the factory of a
    task from outside gets the context where it has a parameter `context`, and is taken to read `CONTEXT_KEYS`.

    Attributes:
      data_dir: folder of data files; None for the current one.
      mode: of the run, in `study.settings.RUN_MODES`; None outside of a run.
      batch_size: of the trainings; None where it is not known yet.
      divisions: the divisions of the data that will be asked for.
      rejection_variable: what the rejection protocol optimises, in `core.problem.VARIABLES`.
      rejection_minimum_gain: that it asks for.
    """

    data_dir: str | None = None
    mode: str | None = None
    batch_size: int | None = None
    divisions: tuple[int, ...] = ()
    rejection_variable: str = PROBABILITY
    rejection_minimum_gain: float = MINIMUM_GAIN


# Keys of other sections that act only through a task that looks at them here.
CONTEXT_KEYS = ("data_dir", "filters.rejection.variable")

# The `task.name` of a run whose task a program has handed over, made already: it looks at no key.
GIVEN = "given"

# For those who make a task by themselves.
NO_RUN = TaskContext()
