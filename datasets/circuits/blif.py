"""Logic networks in Berkeley's BLIF format."""

from __future__ import annotations

from ...graphlib.errors import IngestError
from .netlist import Instance, Netlist
from .tokens import decode


def read_blif(content: bytes | str, what: str = "blif file") -> Netlist:
    """Parse a BLIF file of one flat model.

    A `.names` becomes an instance "names" whose pin "0" is the output and whose truth table is not kept; a `.latch`
    becomes an instance "latch" with pins D and Q.

    Raises
    ------
    IngestError
        A directive that is not known, subcircuits, or lines outside a model; the message names the line.
    """
    netlist: Netlist | None = None
    ended = False
    for place, line in _lines(decode(content, what)):
        words = line.split()
        head, where = words[0], f"{what}, line {place:,}"
        if head == ".model":
            if netlist is not None:
                raise IngestError(f"{where}: a second model; only flat files of one model are read")
            netlist = Netlist(words[1] if len(words) > 1 else "top")
        elif netlist is None:
            raise IngestError(f"{where}: {head[:40]!r} before any .model")
        elif head == ".inputs":
            netlist.inputs += words[1:]
        elif head == ".outputs":
            netlist.outputs += words[1:]
        elif head == ".names":
            if len(words) < 2:
                raise IngestError(f"{where}: .names without an output")
            nets = [words[-1], *words[1:-1]]
            pins = {str(k): net for k, net in enumerate(nets)}
            netlist.instances.append(Instance(f"names_{len(netlist.instances)}", "names", pins))
        elif head == ".latch":
            if len(words) < 3:
                raise IngestError(f"{where}: .latch needs an input and an output")
            pins = {"D": words[1], "Q": words[2]}
            netlist.instances.append(Instance(f"latch_{len(netlist.instances)}", "latch", pins))
        elif head == ".end":
            ended = True
        elif head.startswith("."):
            raise IngestError(f"{where}: {head[:40]!r} is not supported")
        elif set(words[0]) - set("01-") or len(words) > 2:
            raise IngestError(f"{where}: {line[:40]!r} is not a row of a truth table")
    if netlist is None or not ended:
        raise IngestError(f"{what}: the file ends without {'.end' if netlist else 'a model'}")
    return netlist


def _lines(text: str) -> list[tuple[int, str]]:
    """Lines without comments, joined where they end with a backslash, with the number of their first."""
    found: list[tuple[int, str]] = []
    held, first = [], 0
    for place, line in enumerate(text.splitlines(), 1):
        part = line.partition("#")[0].rstrip()
        first = first or place
        held.append(part.removesuffix("\\"))
        if not part.endswith("\\"):
            joined = " ".join(held).strip()
            if joined:
                found.append((first, joined))
            held, first = [], 0
    return found + ([(first, " ".join(held))] if " ".join(held).strip() else [])
