"""A parser of command lines whose mistakes are one line, as everywhere else."""

import argparse

from jaxloss.core.errors import UserError


class Parser(argparse.ArgumentParser):
    """Raises `UserError` for a mistake, with the usage."""

    def error(self, message: str):
        """See `argparse.ArgumentParser.error`."""
        raise UserError(f"{message}. {' '.join(self.format_usage().split())}")
