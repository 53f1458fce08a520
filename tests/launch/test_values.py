"""Keys and values that cannot be: one line that names them."""

import math

import pytest

from jaxloss.config import default_config
from jaxloss.config.check import check_config
from jaxloss.core.errors import UserError


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("search.num_training=5", "unknown config key 'search.num_training'. Did you mean 'search.num_trainings'?"),
        ("search.num_trainings=many", "--config.search.num_trainings takes a value of type int like 6, not 'many'"),
        ("search.num_trainings=1.5", "takes a value of type int"),
        ("search.num_trainings=0", "search.num_trainings must be at least 1, not 0"),
        ("training.learning_rate=fast", "takes a value of type float"),
        ("search.control=maybe", "takes true or false"),
        ("mode=find", "unknown mode 'find'. Choices: compare, lockstep, search, train"),
        (
            "task.name=fastt",
            "unknown task 'fastt'. Did you mean 'fast'? Choices: classification, detection, fast, instance_segmentation, module:",
        ),
        ("space.name=autoloss", "unknown space 'autoloss'. Did you mean 'cse_autoloss'?"),
        (
            "search.name=evolve",
            "unknown search 'evolve'. Did you mean 'evolution'? Choices: evolution, generations, random_search",
        ),
        ("comparison.handcrafted=crossentropy", "unknown hand-crafted loss 'crossentropy'. Did you mean 'cross_entropy'?"),
        (
            "training.schedule=linear",
            "unknown training.schedule 'linear'. Did you mean 'cosine'? Choices: constant, cosine, polynomial",
        ),
        ("training.schedule=steps", "training.schedule=steps needs the epochs of its steps: training.step_epochs"),
        ("training.step_epochs=(2.0,)", "training.step_epochs need training.schedule=steps, not cosine"),
        ("training.warmup_epochs=50.0", "training.warmup_epochs (50) must end before the training does: training.num_epochs is"),
        ("training.frozen_epochs=50.0", "training.frozen_epochs (50) must end before the training does"),
        (
            "training.frozen_epochs=0.5",
            "training.frozen_epochs needs a network with a backbone, and that of the task fast",
        ),
        (
            "training.head_factor=10.0",
            "training.head_factor needs a network with a backbone, and that of the task fast",
        ),
        ("search.evolution.tournament_ratio=0.0", "config key search.evolution.tournament_ratio must be at least 1e-09, not 0.0"),
        ("training.step_epochs=('late',)", "training.step_epochs takes numbers of epochs, not ('late',)"),
        ("task.retrieval.pixel_deviation=0.0", "config key task.retrieval.pixel_deviation must be above 0, not 0.0"),
        ("task.retrieval.pixel_deviation=(0.2, -1.0, 0.2)", "task.retrieval.pixel_deviation must be above 0"),
        ("comparison.divisions=(1, 1)", "comparison.divisions must name different divisions"),
        ("comparison.divisions=('a',)", "or be () for those that seed draws"),
        ("comparison.tuning_finalists=1", "config key comparison.tuning_finalists must be at least 2, not 1"),
        (
            "comparison.tune_untuned=true",
            "unknown config key 'comparison.tune_untuned'. It is gone: a loss as it is,",
        ),
        (
            "filters.also=(own:make,)",
            "--config.filters.also takes texts in quotes, as in \"('one', 'another')\", not '(own:make,)'",
        ),
        ("training.batch_size=0", "config key training.batch_size must be at least 1, not 0"),
        ("training.momentum=2.0", "config key training.momentum must be at most 1.0, not 2.0"),
        ("execution.workers=-1", "config key execution.workers must be at least 0"),
        ("execution.dispatch=one", "unknown execution.dispatch 'one'."),
        ("search.seeds_per_candidate=7", "search.num_trainings (6) is not enough for one candidate"),
        ("seed=-1", "config key seed must be at least 0"),
        ("filters.rejection.num_samples=0", "filters.rejection.num_samples must be at least 1"),
        ("training.num_epochs=1e999", "config key training.num_epochs must be at most 10000.0, not inf"),
        ("training.num_epochs=1e9", "config key training.num_epochs must be at most 10000.0, not 1000000000.0"),
        ("training.warmup_epochs=1e999", "config key training.warmup_epochs must be at most"),
        ("training.learning_rate=1e999", "config key training.learning_rate must be at most"),
        ("comparison.margin=1e999", "config key comparison.margin must be at most 1.0"),
        ("filters.rejection.iterations=100000000000", "filters.rejection.iterations must be at most 1000000"),
        ("filters.rejection.learning_rate=-1", "filters.rejection.learning_rate must be at least 0.0, not -1.0"),
        ("filters.rejection.momentum=1.0", "filters.rejection.momentum must be at most 0.999999, not 1.0"),
        ("space.autoloss_zero.branch_weights=(1e999,)", "branch_weights must hold finite numbers above 0, not (inf,)"),
        ("space.autoloss_zero.branch_weights=(-1.0,)", "branch_weights must hold finite numbers above 0, not (-1.0,)"),
        ("task.classification.pixel_mean=1e999", "config key task.classification.pixel_mean must be finite, not inf"),
        ("task.classification.pixel_deviation=1e999", "task.classification.pixel_deviation must be finite, not inf"),
        ("space.autoloss_zero.branch_weights=(1.0, 2.0)", "has 1 branches and 2 branch_weights"),
        ("search.seeds=(1,)", "config key search.seeds takes formulas, not 1"),
        ("task.name=no_such_module:make", "cannot import the task 'no_such_module:make'"),
        ("task.name=:make", "cannot import the task ':make'"),
        ("task.name=jaxloss.tasks.fast:absent", "the module 'jaxloss.tasks.fast' has no 'absent'"),
        ("task.name=jaxloss.tasks.fast:NUM_CLASSES", "the options of the task 'jaxloss.tasks.fast:NUM_CLASSES' do not fit"),
        ("task.name=builtins:dict", "the task 'builtins:dict' gave a dict, not a Task"),
        ("space.autoloss_zero.branches=regression", "has a branch 'regression', the task fast has ['classification']"),
        ("search.seeds=Neg(Mul(target, Lag(prediction)))", "bad formula at character 17: unknown operator 'Lag'"),
        ("search.seeds=Neg(Mul(target, Log(prediction))", "bad formula at character 33: expected ')' but found 'the end'"),
    ],
)
def test_values(refused, override, says):
    assert says in refused(override)


@pytest.mark.parametrize("value", [math.nan, None, "5"])
def test_a_range_holds_numbers_only(value):
    config = default_config()
    with config.ignore_type():
        config.training.num_epochs = value
    with pytest.raises(UserError, match=r"training\.num_epochs must be a number from 1e-06 to 10000\.0, not "):
        check_config(config)
