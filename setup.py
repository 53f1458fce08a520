"""Puts the configs of the repository into the package, where `--config=NAME` finds them; all else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConfigs(build_py):
    """A checkout that is installed as it is has them beside the package."""

    def run(self):
        super().run()
        if not self.editable_mode:
            shutil.copytree("configs", Path(self.build_lib, "jaxloss", "configs"), dirs_exist_ok=True,
                            ignore=shutil.ignore_patterns("__pycache__"))  # fmt: skip


setup(cmdclass={"build_py": BuildWithConfigs})
