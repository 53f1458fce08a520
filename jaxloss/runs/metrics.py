"""Numbers over time: `metrics.jsonl` for programs, TensorBoard events for people."""

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxloss.core.errors import UserError
from jaxloss.core.files import unwritable
from jaxloss.runs import atomic, json_text

_FILE = "metrics.jsonl"
_EVENTS = "tensorboard"
_RESERVED = ("step", "wall_time")


def metric_line(step: int, values: Mapping[str, float]) -> dict[str, Any]:
    """A line of the curves, as the archive keeps it and `MetricWriter` writes it.

    Args:
      step: a count of the run, for example trainings; steps rise from line to line.
      values: name -> number, NaN and the infinities too.

    Returns:
      `step`, `wall_time` (seconds since 1970) and the values.

    Raises:
      ValueError: a value is called `step` or `wall_time`.
    """
    if taken := [name for name in _RESERVED if name in values]:
        raise ValueError(f"a metric cannot be called '{taken[0]}'")
    return {"step": int(step), "wall_time": time.time(), **{name: float(value) for name, value in values.items()}}


class MetricWriter:
    """Appends one line per step to `metrics.jsonl`, and the same numbers to TensorBoard events.

    The archive has every line first: commit it there, then write it here. What a kill between the two, or anybody else, took from
    the file is made again from the archive when the run goes on; a step is written once.

    Attributes:
      path: of the lines.
      num_restored: how many lines the file lacked that were given as stored.
    """

    def __init__(self, directory: Path, stored: Sequence[Mapping[str, Any]] = ()):
        """Opens `directory/metrics.jsonl` and `directory/tensorboard/`, and writes what they lack.

        Args:
          directory: of the run.
          stored: the lines that the archive has, by their step. Lines of other steps stay: those of an earlier version.

        Raises:
          UserError: the files cannot be read or written, or the lines are no metrics.
        """
        self.path = Path(directory) / _FILE
        try:
            found, size = _parse(self.path)
            texts = {line["step"]: _text(line) for line in found}
            wanted = dict(sorted({**texts, **{line["step"]: _text(line) for line in stored}}.items()))
            self.num_restored = len(wanted.keys() - texts.keys())
            is_whole = self.path.exists() and size == self.path.stat().st_size
            if not is_whole or list(wanted.values()) != [_text(line) for line in found]:
                atomic.write_text(self.path, "".join(f"{text}\n" for text in wanted.values()))
            self._last_step = max(wanted, default=-1)
            # From the first step that the file lacked on, the events are written again.
            first = min((step for step, text in wanted.items() if texts.get(step) != text), default=self._last_step + 1)
            self._events = _Events(Path(directory) / _EVENTS, first)
            for step, text in wanted.items():
                if step >= first:
                    self._events.write(json_text.loads(text))
        except OSError as error:
            raise self._unwritable(error) from error

    @property
    def last_step(self) -> int:
        """The highest step that was written, also before a resume; -1 where there is none."""
        return self._last_step

    def write(self, line: Mapping[str, Any]) -> bool:
        """Writes one line, see `metric_line`; it survives kill -9 when this returns.

        NaN and the infinities go into the lines, not into the events, which cannot show them.

        Returns:
          Whether it was written: False for a step that is not above `last_step`.

        Raises:
          UserError: the disk is full, or the file cannot be written any more.
        """
        if line["step"] <= self._last_step:
            return False
        try:
            # The line last: an event without a line is purged on a resume, a line without an event would stay one.
            self._events.write(line)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(_text(line) + "\n")
        except OSError as error:
            raise self._unwritable(error) from error
        self._last_step = line["step"]
        return True

    def close(self) -> None:
        """Closes the events; a second call does nothing."""
        self._events.close()

    def _unwritable(self, error: OSError) -> UserError:
        return unwritable(f"cannot write metrics to '{self.path}'", error, "use another --workdir")


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

    def write(self, line: Mapping[str, Any]) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        numbers = {name: value for name, value in line.items() if name not in _RESERVED and math.isfinite(value)}
        values = [Summary.Value(tag=name, simple_value=value) for name, value in numbers.items()]
        self._writer.write_event(Event(step=line["step"], wall_time=line["wall_time"], summary=Summary(value=values)))
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


def _text(line: Mapping[str, Any]) -> str:
    return json_text.dumps(line, sort_keys=False)


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
            raise UserError(f"line {number} of '{path}' is no metric; remove the line, and give the same command again") from None
    return lines, size
