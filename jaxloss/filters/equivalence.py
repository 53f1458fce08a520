"""The memory of a search: which candidate behaves like one that was trained, or like one that was rejected?"""

import dataclasses
import hashlib

from jaxloss.core.verdicts import Reason

EQUIVALENT_TO_TRAINED = Reason(
    "equivalent_to_trained", "is equivalent to a loss that was trained before, and takes over its score"
)


@dataclasses.dataclass(frozen=True)
class Known:
    """A trained candidate that others may be equivalent to.

    Attributes:
      proposal: number of the proposal that was trained.
      score: its score, or None where its training was stopped by NaN.
    """

    proposal: int
    score: float | None


# Rejected branches that are remembered: at about 100 bytes each, 100 MB.
MAX_REJECTED = 1_000_000


@dataclasses.dataclass
class LossMemory:
    """Trained candidates by their signatures, rejected branches by their sketches.

    Where the two are the norms and the signed sketch of a gradient, norms are compared with trained candidates only (Li et al.,
    CVPR 2022, Section 3.2): they cannot tell L from -L, and many a good loss has the norms of a rejected one. All of it can be
    rebuilt from the archive.

    Attributes:
      max_rejected: rejected branches that are remembered; the oldest give way.
    """

    max_rejected: int = MAX_REJECTED
    trained: dict[str, Known] = dataclasses.field(default_factory=dict)
    accepted_branches: set[tuple[str, str]] = dataclasses.field(default_factory=set)
    _rejected: dict[bytes, None] = dataclasses.field(default_factory=dict)

    def remember_trained(self, signatures: dict[str, str], known: Known) -> None:
        """Stores a trained candidate under the signatures of all its branches; the first one of a signature stays."""
        self.trained.setdefault(joint_signature(signatures), known)
        self.accepted_branches.update(signatures.items())

    def remember_rejected(self, branch: str, sketch: str) -> None:
        """Stores one rejected branch under its sketch."""
        self._rejected.setdefault(_digest(branch, sketch))
        if len(self._rejected) > self.max_rejected:
            del self._rejected[next(iter(self._rejected))]

    def has_rejected(self, branch: str, sketch: str) -> bool:
        """Whether a branch with this sketch was rejected."""
        return _digest(branch, sketch) in self._rejected

    @property
    def num_rejected(self) -> int:
        """How many rejected branches are remembered."""
        return len(self._rejected)


def _digest(branch: str, sketch: str) -> bytes:
    return hashlib.blake2b(f"{branch} {sketch}".encode(), digest_size=16).digest()


def joint_signature(signatures: dict[str, str]) -> str:
    """The signature of a whole candidate: those of its branches, in a fixed order."""
    return " | ".join(signatures[name] for name in sorted(signatures))
