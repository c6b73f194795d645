"""Wires in the SPEF format (IEEE 1481): resistances and capacitances of each net."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...graphlib.errors import IngestError
from .tokens import decode, lines, number

_UNITS = {
    "*T_UNIT": {"FS": 1e-15, "PS": 1e-12, "NS": 1e-9, "US": 1e-6, "MS": 1e-3, "S": 1.0},
    "*C_UNIT": {"FF": 1e-15, "PF": 1e-12, "NF": 1e-9, "F": 1.0},
    "*R_UNIT": {"OHM": 1.0, "KOHM": 1e3, "MOHM": 1e6},
}
_OTHER_NETS = ("*R_NET", "*D_PNET", "*R_PNET")
_SECTIONS = ("*CONN", "*CAP", "*RES", "*INDUC")


@dataclass
class Wire:
    """One net: capacitances by node, and resistors between nodes, in farads and ohms.

    Nodes are named as the file names them: "inst:pin", a port's name, or "net:number".
    """

    name: str
    pins: list[str] = field(default_factory=list)
    capacitors: dict[str, float] = field(default_factory=dict)
    resistors: list[tuple[str, str, float]] = field(default_factory=list)


def read_spef(content: bytes | str, what: str = "spef file") -> dict[str, Wire]:
    """Parse a SPEF file: wires by net name.

    Raises
    ------
    IngestError
        A line that is not SPEF, a missing end, a net or a name that comes twice, a name that the map lacks, reduced
        nets, a resistance or capacitance below zero, or a number that is not one; the message names the line.

    Notes
    -----
    Read are detailed nets (`*D_NET`) with their name map. A coupling capacitance counts to ground at the node that it
    is listed for. Inductances are left out.
    """
    units = {"*C_UNIT": 1e-12, "*R_UNIT": 1.0}
    names: dict[str, str] = {}
    delimiter = ":"
    wires: dict[str, Wire] = {}
    wire: Wire | None = None
    section = ""

    def plain(name: str) -> str:
        """A name through the map, where `*12:A` stands for a mapped instance's pin."""
        if not name.startswith("*"):
            return name
        head, mark, tail = name.partition(delimiter)
        if head not in names:
            raise IngestError(f"{head[:40]!r} is not in the name map")
        return names[head] + mark + tail

    for place, line in lines(decode(content, what)):
        words = line.partition("//")[0].split()
        if not words:
            continue
        head = words[0]
        try:
            if head in _UNITS:
                if wires or wire is not None:
                    raise IngestError(f"{head} comes after the first net")
                units[head] = _positive(words[1], head) * _UNITS[head][words[2].upper()]
            elif head == "*DELIMITER":
                delimiter = words[1]
            elif head in ("*NAME_MAP", "*PORTS", *_SECTIONS):
                section = head
            elif head == "*D_NET":
                if wire is not None:
                    raise IngestError(f"net {wire.name!r} has no *END before the next begins")
                wire, section = Wire(plain(words[1])), ""
                if wire.name in wires:
                    raise IngestError(f"a second net is named {wire.name!r}")
                number(words[2], None, "total capacitance")
            elif head == "*END":
                if wire is None:
                    raise IngestError("there is no net to end")
                wires[wire.name] = wire
                wire, section = None, ""
            elif head in _OTHER_NETS:
                raise IngestError(f"{head} is not supported, only *D_NET is")
            elif wire is None:
                mapped = section == "*NAME_MAP" and len(words) == 2
                if mapped and names.setdefault(head, words[1]) != words[1]:
                    raise IngestError(f"{head[:40]!r} is mapped twice")
            elif section == "*CONN":
                if head in ("*I", "*P"):
                    wire.pins.append(plain(words[1]))
            elif section == "*CAP":
                node, value = plain(words[1]), _value(words[-1], "capacitance") * units["*C_UNIT"]
                wire.capacitors[node] = wire.capacitors.get(node, 0.0) + value
            elif section == "*RES":
                value = _value(words[3], "resistance") * units["*R_UNIT"]
                wire.resistors.append((plain(words[1]), plain(words[2]), value))
        except (IndexError, KeyError, ValueError) as error:
            reason = str(error) if isinstance(error, IngestError) else f"{line.strip()[:60]!r} is not understood"
            raise IngestError(f"{what}, line {place:,}: {reason}") from None
    if wire is not None:
        raise IngestError(f"{what}: net {wire.name!r} has no *END; the file ends too early")
    return wires


def _value(text: str, what: str) -> float:
    """A number that is not below zero."""
    value = number(text, None, what)
    if value < 0:
        raise IngestError(f"the {what} {text[:40]} is below zero")
    return value


def _positive(text: str, what: str) -> float:
    value = number(text, None, what)
    if value <= 0:
        raise IngestError(f"{what} {text[:40]} is not above zero")
    return value
