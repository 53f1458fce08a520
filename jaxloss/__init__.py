"""jaxloss: search for loss functions, in JAX.

    import jaxloss

    config = jaxloss.load_config("configs/quickstart.py", {"search.num_trainings": "100"})
    results = jaxloss.run(config, "runs/first")
    results.best.latex, results.best(prediction, target)

The names of `__all__` are what people use; everything else may change. They are loaded when they are first used.
"""

import importlib

__version__ = "0.1.0"

# Name -> where it lives.
_PUBLIC = {
    # Run a config, and read what came out.
    "default_config": "jaxloss.config",
    "load_config": "jaxloss.config.file",
    "run": "jaxloss.api.results",
    "open_run": "jaxloss.api.results",
    "load_loss": "jaxloss.api.results",
    "Results": "jaxloss.api.results",
    # Losses as functions.
    "parse": "jaxloss.api.losses",
    "loss": "jaxloss.api.losses",
    "make_space": "jaxloss.api.losses",
    "Loss": "jaxloss.api.losses",
    # Your own data, network and metric.
    "make_task": "jaxloss.tasks.own_task",
    "config_for": "jaxloss.api.own_task",
    # Your own task.
    "Task": "jaxloss.tasks.base",
    "LossInputs": "jaxloss.core.types",
    "TaskContext": "jaxloss.tasks.context",
    "RejectionProblem": "jaxloss.core.problem",
    "OutputSamples": "jaxloss.core.output_samples",
    "HostMetrics": "jaxloss.tasks.host_metrics",
    "StreamedRows": "jaxloss.tasks.data.stream",
    "RowSource": "jaxloss.tasks.data.stream",
    "ArrayRows": "jaxloss.tasks.data.stream",
    "take_rows": "jaxloss.tasks.data.stream",
    # Your own space.
    "Space": "jaxloss.spaces.base",
    "Branch": "jaxloss.spaces.base",
    "Form": "jaxloss.core.form",
    "ProgramOverflow": "jaxloss.graphs.program",
    "TuningRange": "jaxloss.spaces.hyperparameters",
    "Distribution": "jaxloss.spaces.distribution",
    "Drawing": "jaxloss.spaces.drawing",
    "Panel": "jaxloss.spaces.drawing",
    "Line": "jaxloss.spaces.drawing",
    "Reference": "jaxloss.spaces.drawing",
    # Your own filter.
    "Filter": "jaxloss.filters.base",
    "FilterContext": "jaxloss.filters.context",
    "Screened": "jaxloss.filters.base",
    "Cost": "jaxloss.filters.base",
    "Reason": "jaxloss.core.verdicts",
    "Verdict": "jaxloss.core.verdicts",
    # What a mistake of the user's raises.
    "UserError": "jaxloss.core.errors",
}
__all__ = list(_PUBLIC)


def __getattr__(name: str):
    if name not in _PUBLIC:
        raise AttributeError(f"module 'jaxloss' has no attribute '{name}'")
    value = globals()[name] = getattr(importlib.import_module(_PUBLIC[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
