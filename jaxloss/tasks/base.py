"""What a task is: a network, its data, a metric, and the problem that the rejection protocol solves."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax

from jaxloss.core.errors import UserError
from jaxloss.core.output_samples import OutputSamples
from jaxloss.core.problem import RejectionProblem
from jaxloss.core.types import Array, LossInputs, PyTree
from jaxloss.tasks.host_metrics import HostMetrics
from jaxloss.tasks.pictures import Pictures

TRAIN, SEARCH_EVAL, TEST = "train", "search_eval", "test"
SPLITS = (TRAIN, SEARCH_EVAL, TEST)

# The state in a run's archive that holds `Task.ranges`: who reads a run need not build its task, whose data may be gone.
STORED_RANGES = "ranges"
# The same for `Task.meanings`.
STORED_MEANINGS = "meanings"


# `(variables, examples, key, num_samples) -> {branch: RejectionProblem}`; `variables` are those of an untrained network,
# `examples` the training split.
ProblemMaker = Callable[[PyTree, PyTree, Array, int], Mapping[str, RejectionProblem]]


@dataclasses.dataclass(frozen=True)
class Task:
    """A proxy task: a small tuple of pure functions and the arrays they work on.

    The functions do not close over `data`, so that one compiled training serves every split of the data.

    Attributes:
      name: for reports, for example `digits 40% symmetric noise`.
      metric: name of the score in `[0, 1]` that the search maximises, for example `accuracy`.
      also_shown: names of further scores that tables show beside the metric; the higher, the better.
      telling: name of the score that tells whether a network has learned anything, where the metric does not: an untrained
        network may be perfectly calibrated. None: the metric does.
      parts: what the report shows part by part: title of a table -> name of a part, such as a class -> the score that is its
        value, NaN where the part has none. Empty for nothing.
      offers: branch name -> names of the arrays in the `LossInputs` that `forward` makes for it.
      init: `(key) -> variables`, a plain pytree: `{'params': ..., 'batch_stats': ...}`.
      forward: `(variables, batch, key) -> ({branch: LossInputs}, variables)`, in training mode; the second output carries
        updated statistics (the parameters in it are ignored).
      scores: `(variables, examples) -> {name: scalar}` on a whole split, in evaluation mode; jittable. None where the host
        computes all of them.
      augment: `(batch, key) -> batch` inside jit, or None. Arrays `[N, H, W, ...]` may come back with another height and width.
      problems: name -> small problems that filters solve in place of a training, see `ProblemMaker`; `predictions` is what the
        rejection protocol optimises where a space does not ask for another.
      data: split name -> pytree of arrays with the examples on the leading axis. Three disjoint splits: `train`,
        `search_eval` (the only score that a search may see), `test` (opened only to compare finished losses). `train` may be a
        `data.stream.StreamedRows`; `order` is then given its resident arrays, and `problems` the `StreamedRows`.
      with_division: `(division) -> Task` with the same functions and the division of the data that has this number (fresh label
        noise too): other examples in train, search_eval and perhaps test, arrays of the same names and dtypes whose rows have
        the same shapes. Their number may differ, as that of images does where identities are divided; what is compiled for
        one number is compiled again for another.
      auxiliary_losses: branch -> `(LossInputs, axis_name) -> scalar`, losses that every candidate is trained beside, such as the
        triplet loss of a network that needs one; of branches that `forward` makes and that are not offered.
      order: `(key, train) -> int32 [M]`, the order in which one epoch takes the rows of the training split, for batches that
        are put together in a way of their own. None is a random order of all rows. Either way, rows at the end that fill no
        batch are left out, and an epoch with fewer rows than a batch is one batch.
      backbone: `(parameters) -> pytree of bool`, which of them came trained and may be frozen at first, or be trained at another
        rate than the rest; None for none.
      forward_over: `(axis_name) -> forward` for a batch that is divided over the devices of this axis, each of which has a share:
        BatchNorm then normalises by the statistics of the whole batch. None has each share normalised by itself.
      final_scores: `(variables, examples) -> {name: number}`, on the host, what takes too long after every training: computed
        once, on the test split, for the network that a run keeps. None for nothing.
      host_metrics: further scores, which the host computes from predictions; None for none.
      pictures: of networks at work on a few test examples, for the report; None for none.
      native_convolution: True when the network holds convolutions that are slow inside a loop on the CPU, so that steps are
        dispatched one by one there.
      ranges: branch -> input -> (low, high): what values it may take; any real number where it is not said. A `target` reaches
        its ends, as one-hot labels do; other inputs lie between them. Formulas are simplified, for reading, under this alone.
      meanings: branch -> input -> what it is, in words for those who use a loss elsewhere, see `core.meanings`.
      independent_classes: branches whose classes are a question each, as with sigmoids: their predictions do not sum to one, and
        losses of a softmax, which would never hear of background, are refused there.
      customary_losses: names of hand-crafted losses that people train such a task with: a search with prior knowledge begins with
        those that its space can write (`Space.known_losses`); empty for all that the space knows.
      output_samples: `() -> OutputSamples`, made-up outputs of the network, the same at every call and for every division, whose
        gradients tell which losses are one on this task; every offered branch is in their inputs. None tells losses apart by
        their scores.
      details: facts for the report (sizes of the splits, noise, network, number of parameters).
      remarks: lines that are said as a run starts, such as what in the data keeps networks from learning.
    """

    name: str
    metric: str
    offers: Mapping[str, tuple[str, ...]]
    init: Callable[[Array], PyTree]
    forward: Callable[[PyTree, PyTree, Array], tuple[Mapping[str, LossInputs], PyTree]]
    problems: Mapping[str, ProblemMaker]
    data: Mapping[str, PyTree]
    with_division: Callable[[int], "Task"]
    scores: Callable[[PyTree, PyTree], Mapping[str, Array]] | None = None
    also_shown: tuple[str, ...] = ()
    telling: str | None = None
    parts: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    augment: Callable[[PyTree, Array], PyTree] | None = None
    auxiliary_losses: Mapping[str, Callable[[LossInputs, str | None], Array]] = dataclasses.field(default_factory=dict)
    order: Callable[[Array, PyTree], Array] | None = None
    backbone: Callable[[PyTree], PyTree] | None = None
    forward_over: Callable[[str], Callable[[PyTree, PyTree, Array], tuple[Mapping[str, LossInputs], PyTree]]] | None = None
    final_scores: Callable[[PyTree, PyTree], Mapping[str, float]] | None = None
    host_metrics: HostMetrics | None = None
    pictures: Pictures | None = None
    native_convolution: bool = False
    ranges: Mapping[str, Mapping[str, tuple[float, float]]] = dataclasses.field(default_factory=dict)
    meanings: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    independent_classes: tuple[str, ...] = ()
    customary_losses: tuple[str, ...] = ()
    output_samples: Callable[[], OutputSamples] | None = None
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def __post_init__(self):
        if self.scores is None and self.host_metrics is None:
            raise UserError(f"the task {self.name} cannot be scored: it needs scores, host_metrics or both")


def num_examples(data: PyTree) -> int:
    """Length of the leading axis."""
    return jax.tree.leaves(data)[0].shape[0]
