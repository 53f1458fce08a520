"""The session of all tests: several host devices, no warning from this project, and nothing compiled twice."""

import contextlib
import gc
import importlib.metadata
import os
import subprocess
import sys
import tempfile

import pytest

USERS_COMPILER = "JAXLOSS_TESTS_COMPILER"
# Those of the user: the workers of a parallel run are started with ours already among them.
_GIVEN_FLAGS = os.environ.setdefault("JAXLOSS_TESTS_GIVEN_XLA_FLAGS", os.environ.get("XLA_FLAGS", ""))

# Before jax is imported, and for the commands that tests start: devices for the data-parallel tests, on any machine.
_FLAGS = ["--xla_force_host_platform_device_count=4"]
if os.environ.get(USERS_COMPILER) != "users":
    # No optimisation by the compiler, which takes longer than what most tests compute.
    # Nor a division of small matrix products among threads, which the other processes of the tests need as well.
    _FLAGS += ["--xla_backend_optimization_level=0", "--xla_cpu_multi_thread_eigen=false"]
    # Nor its emitters of fused operations, which take about as long again, nor a division of each program among threads, whose
    # parts have a preamble each. A flag that a version does not know ends the process: they are those of the tested one.
    if importlib.metadata.version("jaxlib").startswith("0.10."):
        _FLAGS += ["--xla_cpu_use_fusion_emitters=false", "--xla_cpu_parallel_codegen_split_count=1"]
os.environ["XLA_FLAGS"] = " ".join([*_FLAGS, _GIVEN_FLAGS]).strip()


# Compiled programs, the smallest too, are kept for other tests that need the same, and for the next run, but not in the user's
# own cache, and apart from those of another compiler: their last digits differ.
_COMPILER = os.environ.get(USERS_COMPILER, "quick")
os.environ["XDG_CACHE_HOME"] = os.path.join(tempfile.gettempdir(), f"jaxloss-tests-{os.getuid()}-{_COMPILER}")
os.environ["JAX_COMPILATION_CACHE_DIR"] = os.path.join(os.environ["XDG_CACHE_HOME"], "jaxloss")
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
# Nor is the place in the source noted beside each operation of a program, which nobody looks at.
os.environ["JAX_TRACEBACK_IN_LOCATIONS_LIMIT"] = "0"


def pytest_configure(config):
    """Warnings that our own modules cause are errors; those of other packages are not ours to mend."""
    config.addinivalue_line("filterwarnings", r"error:::(jaxloss|tests)(\..*)?")


# Files that take from thirteen seconds to a minute.
_LONGEST_FIRST = (
    "test_resume",
    "contracts/test_tasks",
    "detection_task/test_rejection",
    "test_examples",
    "execution/test_agreement",
    "core/test_agreement",
    "test_segmentation_models",
    "test_embedding_models",
    "test_rejection",
    "segmentation_task/test_rejection",
    "test_trials",
    "core/test_population",
    "am_lfs/test_lockstep",
    "predictor/test_predictor",
    "test_stream",
    "core/test_operators",
    "detection_task/test_training",
    "margin_space/test_loss",
    "segmentation_task/test_inputs",
    "box_losses/test_search",
    "test_filters_on_random_graphs",
    "segmentation_task/test_training",
    "test_branches",
    "test_own_space",
    "test_filters",
    "retrieval_task/test_training",
    "test_own_network",
    "am_lfs/test_loss",
    "test_margin_filters",
)


def pytest_collection_modifyitems(config, items):
    """Processes that share the tests end together when the longest files come first: see `make test`."""
    first = {config.rootpath / "tests" / f"{name}.py": place for place, name in enumerate(_LONGEST_FIRST)}
    items.sort(key=lambda item: first.get(item.path, len(first)))


def pytest_collection_finish():
    """What is imported by now stays: the garbage collector need not look through it again and again while programs are traced."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.fixture(scope="session", autouse=True)
def kept_simplifiers():
    """The processes in which SymPy simplifies go from one run to the next: each takes longer to start than a run needs it."""
    from jaxloss.symbolic.client import SimplificationWorker

    idle = []

    @contextlib.contextmanager
    def borrowed():
        worker = idle.pop() if idle else SimplificationWorker()
        try:
            yield worker
        finally:
            idle.append(worker)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxloss.symbolic.simplify.SimplificationWorker", borrowed)
        yield
    for worker in idle:
        worker.close()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """A test of how XLA rounds for users runs in a process of its own, where the emitters of fused operations are theirs."""
    if os.environ.get(USERS_COMPILER) == "users" or pyfuncitem.get_closest_marker("users_compiler") is None:
        return None
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", pyfuncitem.nodeid]
    environment = {**os.environ, USERS_COMPILER: "users", "XLA_FLAGS": _GIVEN_FLAGS}
    done = subprocess.run(command, env=environment, cwd=pyfuncitem.config.rootpath, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return True
