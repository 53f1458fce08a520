"""The session of all tests: several host devices, and no warning from this project."""

import os
import tempfile

# Before jax is imported: devices for the data-parallel tests, on any machine.
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4".strip()


# Compiled programs are kept for the next run of the tests, but not in the user's own cache.
os.environ["XDG_CACHE_HOME"] = os.path.join(tempfile.gettempdir(), f"jaxloss-tests-{os.getuid()}")


def pytest_configure(config):
    """Warnings that our own modules cause are errors; those of other packages are not ours to mend."""
    config.addinivalue_line("filterwarnings", r"error:::(jaxloss|tests)(\..*)?")
