"""What surrounds a circuit: arrival times and slews at inputs, times required and loads at outputs, the clock."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ...graphlib.errors import IngestError
from .tokens import decode, joined_lines, lines, number

_PORTS = r"\[get_ports\s+\{?([^\]}\[]*)\}?\s*\]"
CORNERS = ("early rise", "early fall", "late rise", "late fall")
_WORDS = {"at": 6, "slew": 6, "rat": 6, "load": 3, "clock": 4}
Four = list[float | None]


def _four() -> Four:
    return [None, None, None, None]


@dataclass
class Constraints:
    """By port, four values in the order of `CORNERS`; times in the library's unit, loads too.

    `clock` is (port or "", period), or None.
    """

    arrival: dict[str, Four] = field(default_factory=dict)
    slew: dict[str, Four] = field(default_factory=dict)
    required: dict[str, Four] = field(default_factory=dict)
    load: dict[str, float] = field(default_factory=dict)
    clock: tuple[str, float] | None = None


def read_timing(content: bytes | str, what: str = "timing file") -> Constraints:
    """Parse the constraints of the TAU 2015 contest.

    A line is `at`, `slew` or `rat` with a port and four numbers (early rise, early fall, late rise, late fall), `load`
    with a port and one, or `clock` with a port and a period (and the share of it that is low, which is not used).
    """
    found = Constraints()
    tables = {"at": found.arrival, "slew": found.slew, "rat": found.required}
    for place, line in lines(decode(content, what)):
        words = line.split()
        if not words:
            continue
        where = f"{what}, line {place:,}"
        if len(words) > _WORDS.get(words[0], len(words)):
            raise IngestError(f"{where}: {line.strip()[:60]!r} has more than {_WORDS[words[0]]} words")
        known = found.load if words[0] == "load" else tables.get(words[0], {})
        if words[0] == "clock" and found.clock is not None:
            raise IngestError(f"{where}: a second clock; circuits of one clock are read")
        if any(port in known for port in words[1:2]):
            raise IngestError(f"{where}: a second {words[0]!r} of {words[1][:40]!r}")
        try:
            if words[0] in tables:
                tables[words[0]][words[1]] = [number(words[k], None, where) for k in range(2, 6)]
            elif words[0] == "load":
                found.load[words[1]] = number(words[2], None, where)
            elif words[0] == "clock":
                found.clock = (words[1], number(words[2], None, where))
            else:
                raise IngestError(f"{where}: {words[0][:40]!r} is none of at, slew, rat, load, clock")
        except IndexError:
            raise IngestError(f"{where}: {line.strip()[:60]!r} ends too early") from None
    return found


def read_sdc(content: bytes | str, what: str = "sdc file") -> Constraints:
    """Parse the part of SDC (Synopsys design constraints) that says what the other readers' files say.

    Read are `create_clock`, `set_input_delay`, `set_input_transition`, `set_output_delay` and `set_load` with a plain
    `[get_ports name]`; any other command is an error that names it, since it could change the result.
    """
    found = Constraints()
    delays: list[tuple[str, int, float]] = []
    for place, line in joined_lines(decode(content, what)):
        words = line.replace(";", " ").split()
        if words:
            _command(words, found, delays, f"{what}, line {place:,}")
    period = found.clock[1] if found.clock is not None else 0.0
    for port, corner, delay in delays:
        four = found.required.setdefault(port, _four())
        four[corner] = (period if corner >= 2 else 0.0) - delay
    return found


def _command(words: list[str], found: Constraints, delays: list[tuple[str, int, float]], where: str) -> None:
    values, ports, flags = _arguments(words[1:], where)
    corners = [
        corner
        for corner, name in enumerate(CORNERS)
        if _chosen(flags, "min", "max", name.startswith("early")) and _chosen(flags, "rise", "fall", "rise" in name)
    ]
    command = words[0]
    if command == "create_clock":
        if found.clock is not None:
            raise IngestError(f"{where}: a second clock; circuits of one clock are read")
        found.clock = (ports[0] if ports else "", number(flags.get("period", ""), None, where))
    elif command in ("set_input_delay", "set_input_transition", "set_output_delay", "set_load"):
        if len(values) != 1:
            raise IngestError(f"{where}: {command} needs one number; got {values}")
        value = number(values[0], None, where)
        for port in ports:
            if command == "set_load":
                found.load[port] = value
            elif command == "set_output_delay":
                delays += [(port, corner, value) for corner in corners]
            else:
                table = found.arrival if command == "set_input_delay" else found.slew
                for corner in corners:
                    table.setdefault(port, _four())[corner] = value
    else:
        raise IngestError(f"{where}: the command {command[:40]!r} is not supported")


def _chosen(flags: dict[str, str], yes: str, no: str, is_yes: bool) -> bool:
    return (yes if is_yes else no) in flags or not {yes, no} & set(flags)


def _arguments(words: list[str], where: str) -> tuple[list[str], list[str], dict[str, str]]:
    """Numbers, ports, and flags with what follows those that take a value."""
    values: list[str] = []
    flags: dict[str, str] = {}
    text = " ".join(words)
    ports = [port for group in re.findall(_PORTS, text) for port in group.split()]
    rest = re.sub(_PORTS, " ", text)
    if "[" in rest or "]" in rest:
        raise IngestError(f"{where}: only plain [get_ports name] is understood; got {rest.strip()[:60]!r}")
    words = rest.split()
    while words:
        word = words.pop(0)
        if word in ("-period", "-name", "-clock"):
            flags[word[1:]] = words.pop(0) if words else ""
        elif re.match(r"-[a-z]", word):
            flags[word[1:]] = ""
        else:
            values.append(word)
    return values, ports, flags
