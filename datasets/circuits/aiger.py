"""And-inverter graphs in the binary AIGER format.

Why a reader of our own: `aigverse` 0.1.7 reads the same files, but does not return from one that is cut off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...graphlib.errors import IngestError
from .tokens import plain_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LARGEST = 1 << 28
_AFTER = tuple(bytes([letter]) for letter in b"ilobcjf")  # what lines behind the gates begin with


@dataclass(frozen=True, eq=False)
class Aig:
    """An and-inverter graph. Literal 2 v + 1 is the negation of variable v; variable 0 is the constant false.

    Attributes
    ----------
    num_inputs : int
        Variables 1..num_inputs.
    latches : int64 (num_latches,)
        The literal that each latch reads; its variables follow the inputs.
    ands : int64 (num_ands, 2)
        Both literals of each gate; its variables follow the latches.
    outputs : int64 (num_outputs,)
        Literals.
    """

    num_inputs: int
    latches: NDArray[np.int64]
    ands: NDArray[np.int64]
    outputs: NDArray[np.int64]


def read_aiger(content: bytes, what: str = "aiger file") -> Aig:
    """Parse a binary AIGER file ("aig M I L O A").

    Raises
    ------
    IngestError
        Another format, counts that do not agree, literals out of range, or an early end.

    References
    ----------
    Biere, "The AIGER And-Inverter Graph (AIG) format", 2007, fmv.jku.at/aiger.
    """
    content = plain_bytes(content, what)
    header, newline, _ = content[:200].partition(b"\n")
    words = header.split()
    if not newline or len(words) != 6 or words[0] != b"aig" or not all(word.isdigit() for word in words[1:]):
        raise IngestError(f"{what}: the first line is not 'aig M I L O A'; got {header[:60]!r}")
    most, inputs, latches, outputs, ands = (int(word) for word in words[1:])
    if most != inputs + latches + ands or most > _LARGEST:
        raise IngestError(f"{what}: M is {most}, but I + L + A is {inputs + latches + ands} (at most {_LARGEST:,})")
    if 2 * ands + 2 * (latches + outputs) > len(content):
        raise IngestError(f"{what}: {len(content):,} bytes cannot hold {ands:,} gates; the file ends too early")
    place = len(header) + 1
    literals = np.empty(latches + outputs, np.int64)
    for k in range(latches + outputs):
        end = content.find(b"\n", place, place + 64)
        line = content[place:end].split() if end >= 0 else []
        if not line or not line[0].isdigit() or int(line[0]) > 2 * most + 1:
            raise IngestError(f"{what}: literal {k} of the latches and outputs is {content[place : place + 12]!r}")
        literals[k] = int(line[0])
        place = end + 1
    gates = np.empty((ands, 2), np.int64)
    for k in range(ands):
        left = 2 * (inputs + latches + 1 + k)
        for side in range(2):
            delta, place = _delta(content, place, what, k)
            left -= delta
            if left < 0 or (side == 0 and delta == 0):
                raise IngestError(f"{what}: gate {k} reads a literal that does not come before it")
            gates[k, side] = left
    if content[place : place + 1] not in (b"", *_AFTER):
        raise IngestError(f"{what}: {content[place : place + 12]!r} follows the last gate, and is no symbol or comment")
    return Aig(inputs, literals[:latches], gates, literals[latches:])


def _delta(content: bytes, place: int, what: str, gate: int) -> tuple[int, int]:
    """A number in groups of seven bits, the low ones first, and the place after it."""
    value = 0
    for shift in range(0, 35, 7):
        if place >= len(content):
            raise IngestError(f"{what}: the file ends within gate {gate}")
        byte = content[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise IngestError(f"{what}: a number of gate {gate} is too long")
