"""What the seed of a run moves: the other seeds and the divisions of the data, where they are not set.

Each of them has a number that it is at seed 0, and is moved by one and the same shift for any other seed.
"""

_NUMBERS = 2**30
# Odd, so that no two seeds share a shift, and longer than the seeds that a run counts up from one number.
_STRIDE = 100_003

# The value of a seed that is not set.
FOLLOWS = -1


def moved(number: int, seed: int) -> int:
    """What a number is in a run with this seed: itself for seed 0."""
    return (number + _STRIDE * seed) % _NUMBERS
