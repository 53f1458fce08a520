"""All benchmarks on the device at hand, one file of results each.

    python -m experiments.benchmarks.everything --out experiments/results/benchmarks_DEVICE

Each runs in a process of its own, so that one that fails, for want of memory say, leaves the others be. On an accelerator the
rejection stage runs both ways, as blocks and under `vmap`: which is faster there is to be found out.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.benchmarks import common


def commands(accelerator: bool) -> dict[str, list[str]]:
    """Name of the file of results -> module and arguments."""
    rejection = ["rejection", "--growth", "256,512,1024"]
    others = {
        "population": ["population"],
        "lockstep": ["lockstep"],
        "interpreter": ["interpreter"],
        "dense_training": ["dense_training"],
        "retrieval": ["retrieval"],
        "reranking": ["retrieval", "--rerank", "--queries", "3368", "--gallery", "15913"],
    }
    if not accelerator:
        few = ["--entries", "32", "--eager", "1", "--jit", "8", "--stream", "1000"]
        spatial = {
            "rejection_spatial": ["rejection", "--spatial", "32", *few],
            # Half an hour with all iterations; the ways compare alike with a tenth of them, but for compilation.
            "rejection_large": ["rejection", "--spatial", "128", "--eager", "0", "--jit", "8", "--entries", "8", "--stream", "0"],
        }
        return {"rejection": rejection, **spatial, **others}
    found = {}
    for batching in ("vmap", "blocks"):
        found[f"rejection_{batching}"] = [*rejection, "--entries", "8192", "--stream", "1000000", "--batching", batching]
        found[f"rejection_spatial_{batching}"] = ["rejection", "--spatial", "32", "--stream", "20000", "--batching", batching]
    return {**found, **others}


def _backend() -> str:
    """Asked in a process of its own: this one would hold most of the device's memory."""
    command = [sys.executable, "-c", "import jax; print(jax.default_backend())"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--only", default="", help="names of results, such as rejection,population; all by default")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    chosen = commands(_backend() != "cpu")
    names = options.only.split(",") if options.only else list(chosen)
    for name in names:
        if name not in chosen:
            parser.error(f"no results '{name}'; there are {', '.join(chosen)}")
    failed = []
    for name in names:
        module, *rest = chosen[name]
        command = [sys.executable, "-m", f"experiments.benchmarks.{module}", *rest, "--json", str(options.out / f"{name}.json")]
        print(" ".join(command), flush=True)
        done = subprocess.run(command, check=False)
        if done.returncode:
            failed.append(name)
            print(f"{name} failed with exit code {done.returncode}", file=sys.stderr)
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    common.run(main)
