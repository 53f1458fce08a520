"""Searches that share their compiled parts, and executions that break off: how a search goes on is tried with both."""

from pathlib import Path

from jaxloss.cli.progress import ConsoleProgress
from jaxloss.config import wiring
from jaxloss.config.execution import make_execution
from jaxloss.config.file import load_config
from jaxloss.config.plan import make_plan
from jaxloss.runs import Archive
from jaxloss.search.loop import SearchLoop

TINY = Path(__file__).parent / "configs/tiny.py"


class Workshop:
    """The compiled parts of a search, shared by all searches of a test."""

    def __init__(self, config=TINY, overrides=None):
        self.plan = make_plan(load_config(str(config), overrides))
        self.config = self.plan.config
        self.execution = make_execution(self.config, self.plan.task)
        self.cascades = self.plan.make_cascades()

    def loop(self, archive, execution=None, chooser=None, **changes):
        config = self.config.copy_and_resolve_references()
        config.update_from_flattened_dict({f"search.{key}": value for key, value in changes.items()})
        search = wiring.make_search(config, self.plan.space, self.plan.seeds, config.search.name)
        budget = wiring.make_budget(config)
        return SearchLoop(
            search, self.cascades, execution or self.execution, archive, budget, ConsoleProgress(quiet=True), None, chooser
        )

    def finished(self, path, **changes):
        """What the archive of an undisturbed search holds."""
        with Archive(path) as archive:
            self.loop(archive, **changes).run()
            return archive.comparable()


class Stopped(Exception):
    pass


class StopsAfter:
    """An execution that breaks off after so many trainings."""

    def __init__(self, execution, count):
        self.execution, self.left = execution, count

    def run(self, trials):
        for done in self.execution.run(trials):
            if self.left == 0:
                raise Stopped
            self.left -= 1
            yield done
