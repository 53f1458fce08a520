"""Compiled programs are kept for the next process."""

import subprocess
import sys

from tests.launch.command import REPOSITORY


def test_the_folder_of_compiled_programs(refused, tmp_path):
    (tmp_path / "file").write_text("")
    line = refused(f"compilation_cache={tmp_path / 'file' / 'cache'}")
    assert "cannot make the folder" in line
    assert "--config.compilation_cache" in line


def test_compiled_programs_are_kept(tmp_path):
    """A new process finds them; the smallest too, as the environment of the tests has it."""
    script = (
        "import jax, jaxloss.cli.compilation_cache as cache\n"
        "hits = []; jax.monitoring.register_event_listener(lambda name, **_: hits.append(name))\n"
        f"cache.use_compilation_cache({str(tmp_path / 'cache')!r})\n"
        "jax.jit(lambda x: jax.numpy.sin(x) * 3)(1.0)\n"
        "print(hits.count('/jax/compilation_cache/cache_hits'))\n"
    )
    counts = [
        int(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=REPOSITORY, check=True).stdout)
        for _ in range(2)
    ]
    assert counts[0] == 0
    assert counts[1] > 0
