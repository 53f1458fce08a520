"""The session of all tests: several host devices, no warning from this project, and nothing compiled twice."""

import os
import tempfile

# Before jax is imported, and for the commands that tests start: devices for the data-parallel tests, on any machine; and no
# optimisation by the compiler, which takes longer than what most tests compute, nor its emitters of fused operations, which take
# about as long again.
_FLAGS = " ".join(
    (
        "--xla_force_host_platform_device_count=4",
        "--xla_backend_optimization_level=0",
        "--xla_cpu_use_fusion_emitters=false",
    )
)
os.environ["XLA_FLAGS"] = f"{_FLAGS} {os.environ.get('XLA_FLAGS', '')}".strip()


# Compiled programs, the smallest too, are kept for other tests that need the same, and for the next run, but not in the user's
# own cache.
os.environ["XDG_CACHE_HOME"] = os.path.join(tempfile.gettempdir(), f"jaxloss-tests-{os.getuid()}")
os.environ["JAX_COMPILATION_CACHE_DIR"] = os.path.join(os.environ["XDG_CACHE_HOME"], "jaxloss")
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"


def pytest_configure(config):
    """Warnings that our own modules cause are errors; those of other packages are not ours to mend."""
    config.addinivalue_line("filterwarnings", r"error:::(jaxloss|tests)(\..*)?")
