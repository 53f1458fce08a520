"""Numbers over time: `metrics.jsonl` for programs, TensorBoard events for people."""

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxloss.core.errors import UserError
from jaxloss.runs import json_text

_FILE = "metrics.jsonl"
_EVENTS = "tensorboard"
_RESERVED = ("step", "wall_time")


class MetricWriter:
    """Appends one line per step to `metrics.jsonl`, and the same numbers to TensorBoard events.

    A step is written once: after a resume the steps that are repeated are ignored, so write a step's metrics *before*
    the commit to the archive that completes it; then a killed run has neither gaps nor duplicates.
    """

    def __init__(self, directory: Path):
        """Opens `directory/metrics.jsonl` (dropping a torn last line) and `directory/tensorboard/`.

        Raises:
          UserError: the files cannot be read or written, or the lines are no metrics.
        """
        self.path = Path(directory) / _FILE
        try:
            lines = self._whole_lines()
            self._last_step = lines[-1]["step"] if lines else -1
            self.path.touch()
            self._events = _Events(Path(directory) / _EVENTS, self._last_step + 1)
        except OSError as error:
            raise self._unwritable(error) from error

    @property
    def last_step(self) -> int:
        """The highest step that was written, also before a resume; -1 where there is none."""
        return self._last_step

    def write(self, step: int, values: Mapping[str, float]) -> bool:
        """Writes the values of one step; it survives kill -9 when this returns.

        Args:
          step: a count of the run, for example trainings; steps rise from call to call.
          values: name -> number. NaN and the infinities go into the lines, not into the events, which cannot show them.

        Returns:
          Whether it was written: False for a step that is not above `last_step`.

        Raises:
          ValueError: a value is called `step` or `wall_time`.
          UserError: the disk is full, or the file cannot be written any more.
        """
        if taken := [name for name in _RESERVED if name in values]:
            raise ValueError(f"a metric cannot be called '{taken[0]}'")
        if step <= self._last_step:
            return False
        numbers = {name: float(value) for name, value in values.items()}
        wall_time = time.time()
        line = json_text.dumps({"step": int(step), "wall_time": wall_time, **numbers}, sort_keys=False)
        try:
            # The line last: an event without a line is purged on a resume, a line without an event would stay one.
            self._events.write(int(step), wall_time, numbers)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise self._unwritable(error) from error
        self._last_step = int(step)
        return True

    def close(self) -> None:
        """Closes the events; a second call does nothing."""
        self._events.close()

    def _unwritable(self, error: OSError) -> UserError:
        return UserError(f"cannot write metrics to '{self.path}': {error.strerror}; make room, or use another --workdir")

    def _whole_lines(self) -> list[dict[str, Any]]:
        """The lines that are there whole; cuts the file behind the last of them."""
        lines, size = _parse(self.path)
        if self.path.exists() and size < self.path.stat().st_size:
            with open(self.path, "r+b") as file:
                file.truncate(size)
        return lines


class _Events:
    """An event file for TensorBoard. Not tensorboardX's SummaryWriter, whose thread has events in memory when it is killed."""

    def __init__(self, directory: Path, first_step: int):
        # Imported here: reading a run should not load protocol buffers.
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        directory.mkdir(exist_ok=True)
        # The name holds the second of its making: the step keeps a quick resume from writing over an older file.
        self._writer = EventsWriter(str(directory / "events"), f".{first_step}")
        # TensorBoard then hides what older files have from this step on.
        self._writer.write_event(Event(step=first_step, session_log=SessionLog(status=SessionLog.START)))
        self._closed = False

    def write(self, step: int, wall_time: float, numbers: Mapping[str, float]) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=name, simple_value=value) for name, value in numbers.items() if math.isfinite(value)]
        self._writer.write_event(Event(step=step, wall_time=wall_time, summary=Summary(value=values)))
        self._writer.flush()

    def close(self) -> None:
        if not self._closed:
            self._writer.close()
        self._closed = True


def read_metrics(directory: Path) -> list[dict[str, Any]]:
    """The lines of `directory/metrics.jsonl` as dictionaries with `step`, `wall_time` (seconds) and the named values.

    A torn last line is left out; no file gives no lines.

    Raises:
      UserError: the file cannot be read, or its lines are no metrics.
    """
    path = Path(directory) / _FILE
    try:
        return _parse(path)[0]
    except OSError as error:
        raise UserError(f"cannot read '{path}': {error.strerror}") from error


def _parse(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The whole lines of a file, and how many bytes they take."""
    if not path.exists():
        return [], 0
    content = path.read_bytes()
    size = content.rfind(b"\n") + 1
    lines = []
    for number, line in enumerate(content[:size].splitlines(), start=1):
        try:
            lines.append(json_text.loads(line))
            int(lines[-1]["step"])
        except (ValueError, TypeError, KeyError):
            raise UserError(f"line {number} of '{path}' is no metric; remove it, or use another directory") from None
    return lines, size
