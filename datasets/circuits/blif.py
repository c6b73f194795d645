"""Logic networks in Berkeley's BLIF format."""

from __future__ import annotations

from ...graphlib.errors import IngestError
from .netlist import Instance, Netlist
from .tokens import decode, joined_lines


def read_blif(content: bytes | str, what: str = "blif file") -> Netlist:
    """Parse a BLIF file of one flat model.

    A `.names` becomes an instance "names" whose pin "0" is the output and whose truth table is not kept; a `.latch`
    becomes an instance "latch" with pins D and Q.

    Raises
    ------
    IngestError
        A directive that is not known, subcircuits, lines outside a model, or a truth table whose rows do not fit its
        inputs; the message names the line.
    """
    netlist: Netlist | None = None
    ended, width = False, -1
    for place, line in joined_lines(decode(content, what)):
        words = line.split()
        if not words:
            continue
        head, where = words[0], f"{what}, line {place:,}"
        if ended:
            raise IngestError(f"{where}: {line[:40]!r} follows the .end")
        if not head.startswith("."):
            _check_row(words, width, where, line)
            continue
        width = -1
        if head == ".model":
            if netlist is not None:
                raise IngestError(f"{where}: a second model; only flat files of one model are read")
            netlist = Netlist(words[1] if len(words) > 1 else "top", constants=())
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
            width = len(nets) - 1
        elif head == ".latch":
            if len(words) < 3:
                raise IngestError(f"{where}: .latch needs an input and an output")
            pins = {"D": words[1], "Q": words[2]}
            netlist.instances.append(Instance(f"latch_{len(netlist.instances)}", "latch", pins))
        elif head == ".end":
            ended = True
        else:
            raise IngestError(f"{where}: {head[:40]!r} is not supported")
    if netlist is None or not ended:
        raise IngestError(f"{what}: the file ends without {'.end' if netlist else 'a model'}")
    return netlist


def _check_row(words: list[str], width: int, where: str, line: str) -> None:
    """A row of a truth table: a letter of 0, 1 and - for each input, and the output's, 0 or 1."""
    inputs = words[0] if len(words) == 2 else ""
    if width < 0 or len(words) > 2 or len(inputs) != width or set(inputs) - set("01-") or words[-1] not in ("0", "1"):
        wanted = f"for {width} inputs" if width >= 0 else "of a .names, which must come before it"
        raise IngestError(f"{where}: {line[:40]!r} is not a row of a truth table {wanted}")
