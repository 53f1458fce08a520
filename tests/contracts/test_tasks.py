"""What every task promises: those that are registered, and those from outside the package."""

import jax
import numpy as np
import pytest

import jaxloss
from examples.own_branches import make_task as two_branches
from examples.own_task import make_task as a_line
from jaxloss.core.problem import MINIMUM_GAIN
from jaxloss.execution.base import Trial
from jaxloss.execution.choice import ExecutionFactory, choose
from jaxloss.execution.settings import SERIAL
from jaxloss.tasks.base import SEARCH_EVAL, TEST, TRAIN
from jaxloss.tasks.check import check_task, on_division
from jaxloss.tasks.context import TaskContext
from jaxloss.tasks.registry import TASKS
from jaxloss.tasks.settings import TrainingSettings
from tests.compilations import counted
from tests.contracts.all_spaces import draw
from tests.detection_task.cells import FILE as CELLS
from tests.detection_task.cells import TINY as TINY_DETECTOR
from tests.detection_task.cells import write as write_cells
from tests.instance_task import shapes as instance_shapes
from tests.pose_task import puppets
from tests.segmentation_task.scenes import CLASSES, scenes
from tests.two_stage_task.scenes import SETTINGS as TINY_STAGES


def _registered(name, folder):
    settings = TASKS[name].settings
    options = {"model_options": {"features": (8,)}} if name == "classification" else {}
    if name == "retrieval":
        random, identities = np.random.default_rng(0), np.repeat(np.arange(12), 4)
        images = random.integers(0, 256, (48, 8, 8, 1)).astype(np.uint8)
        np.savez(folder / "images.npz", images=images, identities=identities)
        options = {
            "source": "npz:images.npz",
            "source_options": {"camera_key": "", "split_key": ""},
            "image_size": (0, 0),
            "model": "embedding_cnn",
            "model_options": {"features": (4,), "embedding_size": 8},
            "augmentation": "none",
            "identities_per_batch": 4,
            "images_per_identity": 2,
        }
    if name == "segmentation":
        images, masks = scenes(28)
        np.savez(folder / "scenes.npz", images=images, labels=masks, class_names=CLASSES)
        options = {"source": "npz:scenes.npz", "model_options": {"features": (4,)}}
    if name == "detection":
        write_cells(folder, 28)
        options = {"source": f"npz:{CELLS}", "model_options": TINY_DETECTOR, "size_limits": (9.0,), "rejection_locations": 20}
    if name == "pose":
        puppets.write(folder, 32)
        options = {"source": f"npz:{puppets.FILE}", "model_options": puppets.TINY}
    if name == "two_stage_detection":
        write_cells(folder, 28)
        options = TINY_STAGES
    if name == "instance_segmentation":
        instance_shapes.write(folder, 28)
        options = instance_shapes.SETTINGS
    gain = 0.2 if "detection" in name or "instance" in name else MINIMUM_GAIN
    context = TaskContext(data_dir=str(folder), batch_size=8, rejection_minimum_gain=gain)
    return TASKS[name].make(settings(**options), context)


def arrays():
    random = np.random.default_rng(0)
    inputs = random.normal(size=(60, 4))
    return jaxloss.make_task(inputs, np.arange(60) % 3, "mlp", "balanced_accuracy")


OUTSIDE = {"a line (outside)": a_line, "two branches (outside)": two_branches, "arrays": arrays}


@pytest.fixture(scope="module", params=[*TASKS, *OUTSIDE])
def task(request, tmp_path_factory):
    if request.param in OUTSIDE:
        return OUTSIDE[request.param]()
    return _registered(request.param, tmp_path_factory.mktemp("data"))


class TestTasks:
    def test_it_is_what_a_task_has_to_be(self, task):
        reads = {name: [one for one in ("prediction", "cosine", "target") if one in names] for name, names in task.offers.items()}
        inputs = check_task(task, batch_size=8, reads=reads, num_samples=5)
        assert inputs.keys() == task.offers.keys()

    def test_another_division_holds_other_examples_of_the_same_shapes(self, task):
        other = on_division(task, 1)
        for split in (TRAIN, SEARCH_EVAL):
            pairs = zip(jax.tree.leaves(task.data[split]), jax.tree.leaves(other.data[split]), strict=True)
            assert not all(np.array_equal(one, two) for one, two in pairs), split

    def test_its_problems_are_those_of_its_branches(self, task):
        variables = jax.jit(task.init)(jax.random.key(0))
        for make in task.problems.values():
            problems = make(variables, task.data[TRAIN], jax.random.key(1), 5)
            assert problems.keys() == task.offers.keys()
            for problem in problems.values():
                metrics = jax.jit(problem.metrics)(problem.start)
                assert metrics.shape == (5,)
                assert np.all((metrics >= 0) & (metrics <= 1))

    def test_its_output_samples_are_the_same_at_every_call_and_on_every_division(self, task):
        if task.output_samples is None:
            return
        first, second = (one.output_samples() for one in (task, on_division(task, 1)))
        for one, other in zip(*(jax.tree.leaves((made.outputs, made.context)) for made in (first, second)), strict=True):
            np.testing.assert_array_equal(one, other)

    def test_a_training_is_scored_on_every_part_and_is_compiled_once(self, task):
        space = _space_for(task)
        factory = ExecutionFactory(task, TrainingSettings(batch_size=8, num_epochs=1.0))
        execution = factory.make(choose(SERIAL, 0, None, [], factory)[0])
        encoded = [space.encode(draw(space, seed)) for seed in range(3)]
        trials = [Trial(space, one, 1e-3, 0, 0, SEARCH_EVAL, num_steps=2) for one in encoded]
        first = [outcome for outcome, _ in execution.run(trials[:1])]
        with counted() as compilations:
            rest = [outcome for outcome, _ in execution.run(trials[1:])]
        assert not compilations
        (test,) = [outcome for outcome, _ in execution.run([Trial(space, encoded[0], 1e-3, 0, 0, TEST, num_steps=2)])]
        execution.close()
        for outcome in [*first, *rest, test]:
            if outcome.finite:
                assert 0 <= outcome.score <= 1
                assert {task.metric, *task.also_shown} <= outcome.scores.keys()


def _space_for(task):
    if "cosines" in task.problems:
        return jaxloss.make_space("autoloss_gms", branch=next(iter(task.offers)))
    others = {name: names[:3] for name, names in task.offers.items() if not {"prediction", "target"} <= {*names}}
    return jaxloss.make_space(
        "autoloss_zero", branches=tuple(task.offers), branch_weights=(1.0,) * len(task.offers), branch_inputs=others
    )
