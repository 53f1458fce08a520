"""Memory of gradients: which candidate behaves like one that was trained, or like one that was rejected?"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Known:
    """A trained candidate that others may be equivalent to.

    Attributes:
      proposal: number of the proposal that was trained.
      score: its score, or None where its training was stopped by NaN.
    """

    proposal: int
    score: float | None


@dataclasses.dataclass
class GradientMemory:
    """Trained candidates by gradient norms, rejected branches by signed sketch.

    Norms are compared with trained candidates only (AutoLoss-Zero, Section 3.2): they cannot tell L from -L, and many a good
    loss has the norms of a rejected one. All of it can be rebuilt from the archive.
    """

    trained: dict[str, Known] = dataclasses.field(default_factory=dict)
    accepted_branches: set[tuple[str, str]] = dataclasses.field(default_factory=set)
    rejected_branches: dict[tuple[str, str], str] = dataclasses.field(default_factory=dict)

    def remember_trained(self, signatures: dict[str, str], known: Known) -> None:
        """Stores a trained candidate under the norms of all its branches; the first one of a signature stays."""
        self.trained.setdefault(joint_signature(signatures), known)
        self.accepted_branches.update(signatures.items())

    def remember_rejected(self, branch: str, sketch: str, reason: str) -> None:
        """Stores one rejected branch under its signed sketch."""
        self.rejected_branches.setdefault((branch, sketch), reason)


def joint_signature(signatures: dict[str, str]) -> str:
    """The signature of a whole candidate: those of its branches, in a fixed order."""
    return " | ".join(signatures[name] for name in sorted(signatures))
