"""Colours that tell classes apart, for any eye."""

import numpy as np

# Each as far as it can be from those before it and from the greys of void, for normal sight and for each of three kinds of
# colour blindness, with light and dark ones left to the lines that are drawn over them: any two of the first 12 are 16 apart
# (CIE 1976), of the first 8 22, of all 24 11.
_HEXADECIMAL = """
0077aa ee9922 663311 ffcc99 aaccff 113399 aa7733 991155 9988ff dd4466 770066 00aabb
bbee66 7755cc 99bb99 bbaa66 996688 7799dd 884400 aaeeee 006633 005599 998800 88ccdd
"""
# uint8 `[24, 3]`.
COLOURS = np.array([tuple(bytes.fromhex(one)) for one in _HEXADECIMAL.split()], np.uint8)


def colours_by_frequency(counts: np.ndarray) -> np.ndarray:
    """A colour for each class, uint8 `[C, 3]`: those that are told apart best for the classes that take most room.

    From the 25th class that occurs on, colours repeat.

    Args:
      counts: int `[C]`, positions of each class in all that is shown.
    """
    colours = np.zeros((len(counts), 3), np.uint8)
    order = np.argsort(-counts, kind="stable")
    colours[order] = COLOURS[np.arange(len(counts)) % len(COLOURS)]
    return colours
