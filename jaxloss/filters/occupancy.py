"""Which candidates hold the lanes of a population: who stays, who begins, and how many fit together."""

import collections
import itertools
from collections.abc import Sequence

import numpy as np

from jaxloss.core.types import PyTree
from jaxloss.filters.population import Population


class Occupancy:
    """The lanes of all devices, seen from the host. Candidates are numbered as they stand in the list of all.

    Attributes:
      held: int `[D, P]` the candidate of each lane, -1 where there is none.
      fresh: bool `[D, P]` the lanes whose candidate begins anew.
      prepared: the graphs of all lanes as arrays with a leading axis `[D]`.
    """

    def __init__(self, population: Population, encoded: Sequence[PyTree], num_devices: int):
        """Args:
        population: whose lanes are filled.
        encoded: all candidates, as `population.encode` made them.
        num_devices: `D`.
        """
        self._population = population
        order = sorted(range(len(encoded)), key=lambda one: population.size(encoded[one]))
        self._waiting = collections.deque(order)
        self._devices = [_Device(population, encoded) for _ in range(num_devices)]
        self.held = np.full((num_devices, population.lanes), -1)
        self.fresh = np.zeros((num_devices, population.lanes), bool)
        self.prepared: PyTree = None

    def refill(self) -> bool:
        """Gives the free lanes to those that wait; False where nobody is left."""
        renewed = self.prepared is None
        for number, device in enumerate(self._devices):
            # A short list is shared by all devices.
            share = -(-len(self._waiting) // (len(self._devices) - number))
            renewed |= device.refill(self._waiting, share)
        if renewed:
            self.prepared = self._population.stack([device.prepared for device in self._devices])
        self.held = np.stack([device.held for device in self._devices])
        self.fresh = np.stack([device.fresh for device in self._devices])
        return bool(np.any(self.held >= 0))

    def leave(self, lanes: np.ndarray) -> None:
        """Frees lanes, bool `[D, P]`."""
        for device, leaving in zip(self._devices, lanes, strict=True):
            device.leave(leaving)


class _Device:
    """The lanes of one device, see `Occupancy`."""

    def __init__(self, population: Population, encoded: Sequence[PyTree]):
        self._population, self._encoded = population, encoded
        self.held = np.full(population.lanes, -1)
        self.fresh = np.zeros(population.lanes, bool)
        self.prepared = population.prepare([])
        self._left = False
        # So many are tried: large ones do not all fit, and to find that out once is enough.
        self._most = population.lanes

    def refill(self, waiting: collections.deque[int], share: int) -> bool:
        """Gives free lanes to at most `share` of those that wait, and takes these off the queue; whether anything changed.

        Who is under way stays: sent back, one would have to begin again. Where all are too large together, fewer begin.
        """
        self.fresh[:] = False
        free = np.flatnonzero(self.held < 0)
        under_way = len(self.held) - len(free)
        count = asked = min(len(free), len(waiting), share, self._most - under_way)
        renewed = False
        while (count or self._left) and not renewed:
            lanes = self.held.copy()
            lanes[free[:count]] = list(itertools.islice(waiting, count))
            prepared = self._population.prepare([self._encoded[one] if one >= 0 else None for one in lanes])
            if prepared is not None:
                self.held, self.prepared, self._left, renewed = lanes, prepared, False, True
            elif count:
                count = max(3 * count // 4, int(not under_way))  # one alone always fits
            else:
                break  # sorted anew, a part may need more room than the whole: those that have left are run on
        for _ in range(count):
            waiting.popleft()
        self.fresh[free[:count]] = True
        if count < asked:
            self._most = under_way + count
        elif count and under_way + count == self._most:
            self._most += max(1, self._most // 16)  # the next ones may be smaller
        return renewed

    def leave(self, lanes: np.ndarray) -> None:
        self.held[lanes] = -1
        self._left |= bool(lanes.any())
