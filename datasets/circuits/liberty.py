"""Cell libraries in the Liberty format: pins, their capacitances, and tables of delays and slews.

Why a reader of our own: the package `liberty-parser` reads these files too, and a test compares the two, but it is
under the GPL, which this library cannot require.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import IngestError
from .tokens import Tokens, decode, first_twice, number

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TOKEN = re.compile(
    r'(?P<skip>(?:\s|\\\r?\n|/\*.*?\*/|//[^\n]*)+)|(?P<open>/\*)|"(?:[^"\\]|\\.)*"|[(){};:,]|[^\s(){};:,"\\]+',
    re.DOTALL,
)
_DEEPEST = 32
_MOST_VALUES = 1 << 16
_TABLES = ("cell_rise", "cell_fall", "rise_transition", "fall_transition", "rise_constraint", "fall_constraint")
_SECONDS = {"fs": 1e-15, "ps": 1e-12, "ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
_FARADS = {"ff": 1e-15, "pf": 1e-12, "nf": 1e-9, "uf": 1e-6, "f": 1.0}


@dataclass
class Group:
    """`kind(arguments) { ... }`: simple attributes have one value, complex ones a list, in order of appearance."""

    kind: str
    arguments: list[str]
    attributes: dict[str, list[list[str]]] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)

    def get(self, name: str, default: str = "") -> str:
        """The first value of an attribute."""
        found = self.attributes.get(name)
        return found[0][0] if found and found[0] else default

    def all(self, kind: str) -> list[Group]:
        return [group for group in self.groups if group.kind == kind]


@dataclass(frozen=True, eq=False)
class Table:
    """Values over one or two axes, float64; `axes` names what they are."""

    axes: tuple[str, ...]
    index_1: NDArray[np.float64]
    index_2: NDArray[np.float64]
    values: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Arc:
    """A timing group of a pin: `related` is the pin it comes from."""

    related: str
    sense: str
    kind: str
    tables: dict[str, Table]


@dataclass(frozen=True, eq=False)
class Pin:
    name: str
    direction: str
    capacitance: dict[str, float]
    clock: bool
    arcs: tuple[Arc, ...]


@dataclass(frozen=True, eq=False)
class Library:
    """Cells by name, each a mapping from pin names to pins.

    `time_unit` is in seconds, `capacitance_unit` in farads; `thresholds` are those of slews, as shares of the supply.
    """

    name: str
    time_unit: float
    capacitance_unit: float
    thresholds: tuple[float, float]
    cells: dict[str, dict[str, Pin]]

    def __repr__(self) -> str:
        return f"Library({self.name!r}, {len(self.cells)} cells)"


def read_liberty(content: bytes | str, what: str = "liberty file") -> Library:
    """Parse a Liberty file.

    Parameters
    ----------
    content : bytes or str
        The file.
    what : str
        Its name in messages.

    Raises
    ------
    IngestError
        The text is not Liberty, ends early, or a table's values do not fit its axes; the message names the line or the
        cell and pin.

    Notes
    -----
    Read are cells with their pins (direction, capacitance, rise_capacitance, fall_capacitance, clock) and tables of
    delay, transition, setup and hold (one or two axes, or a single value). Left out are buses, power, noise and
    conditions (`when`); a pin with several conditional timing groups keeps them all.
    """
    tokens = Tokens(decode(content, what), _TOKEN, what)
    top = parse(tokens)
    if top.kind != "library" or not top.arguments:
        raise IngestError(f"{what}: the file holds a {top.kind!r} group, not a library")
    units = _pair(top, "capacitive_load_unit", what)
    cells: dict[str, dict[str, Pin]] = {}
    twice = first_twice(group.arguments[0] for group in top.all("lu_table_template") if group.arguments)
    if twice is not None:
        raise IngestError(f"{what}: two table templates are named {twice!r}")
    templates = {group.arguments[0]: group for group in top.all("lu_table_template") if group.arguments}
    for cell in top.all("cell"):
        if not cell.arguments or cell.arguments[0] in cells:
            raise IngestError(f"{what}: a cell has no name, or one that was used before: {cell.arguments}")
        name = cell.arguments[0]
        pins = [pin for group in cell.all("pin") for pin in _pins(group, templates, f"{what}, cell {name}")]
        twice = first_twice(pin.name for pin in pins)
        if twice is not None:
            raise IngestError(f"{what}, cell {name}: two pins are named {twice!r}")
        cells[name] = {pin.name: pin for pin in pins}
    low, high = (
        number(top.get(f"slew_{end}_threshold_pct_rise", default), None, what) / 100
        for end, default in (("lower", "20"), ("upper", "80"))
    )
    if not 0 < low < high < 1:
        raise IngestError(f"{what}: slew thresholds {low} and {high} are not 0 < lower < upper < 1")
    return Library(top.arguments[0], _time_unit(top, what), units, (low, high), cells)


def parse(tokens: Tokens) -> Group:
    """The outermost group of a file."""
    kind = tokens.next()
    top = Group(kind, _arguments(tokens))
    tokens.expect("{")
    open_groups = [top]
    while open_groups:
        token = tokens.next()
        if token == "}":
            open_groups.pop()
            continue
        if token == ";":
            continue
        follows = tokens.next()
        if follows == ":":
            values = []
            while tokens.peek() not in (";", "}", ""):
                values.append(_bare(tokens.next()))
            open_groups[-1].attributes.setdefault(token, []).append([" ".join(values)])
        elif follows == "(":
            arguments = _rest(tokens)
            if tokens.peek() == "{":
                tokens.next()
                if len(open_groups) >= _DEEPEST:
                    raise tokens.error(f"groups lie more than {_DEEPEST} deep")
                group = Group(token, arguments)
                open_groups[-1].groups.append(group)
                open_groups.append(group)
            else:
                open_groups[-1].attributes.setdefault(token, []).append(arguments)
        else:
            raise tokens.error(f"expected ':' or '(' after {token[:40]!r}, found {follows[:40]!r}")
    if tokens.peek():
        tokens.next()
        raise tokens.error("text after the end of the library")
    return top


def _arguments(tokens: Tokens) -> list[str]:
    tokens.expect("(")
    return _rest(tokens)


def _rest(tokens: Tokens) -> list[str]:
    found: list[str] = []
    while (token := tokens.next()) != ")":
        if token in "{};":
            raise tokens.error(f"{token!r} within parentheses")
        if token not in (",", ":"):
            found.append(_bare(token))
    return found


def _bare(token: str) -> str:
    return token[1:-1] if token[:1] == '"' else token


def _pair(top: Group, name: str, what: str) -> float:
    given = top.attributes.get(name, [["1", "pf"]])[0]
    if len(given) != 2 or given[1].lower() not in _FARADS:
        raise IngestError(f"{what}: {name} must be a number and one of {', '.join(_FARADS)}; got {given}")
    return _unit(number(given[0], None, what) * _FARADS[given[1].lower()], name, given, what)


def _time_unit(top: Group, what: str) -> float:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", top.get("time_unit", "1ns").lower())
    if match is None or match.group(2) not in _SECONDS:
        raise IngestError(
            f"{what}: time_unit {top.get('time_unit')!r} is not a number and one of {', '.join(_SECONDS)}"
        )
    value = number(match.group(1), None, what) * _SECONDS[match.group(2)]
    return _unit(value, "time_unit", top.get("time_unit"), what)


def _unit(value: float, name: str, given: object, what: str) -> float:
    if value <= 0:
        raise IngestError(f"{what}: {name} must be above zero; got {given}")
    return value


def _pins(group: Group, templates: dict[str, Group], where: str) -> list[Pin]:
    """The pins of one group, which may name several."""
    if not group.arguments:
        raise IngestError(f"{where}: a pin has no name")
    return [_pin(name, group, templates, f"{where}, pin {name}") for name in group.arguments]


def _pin(name: str, group: Group, templates: dict[str, Group], where: str) -> Pin:
    for attribute in ("capacitance", "rise_capacitance", "fall_capacitance", "direction", "clock"):
        if len(group.attributes.get(attribute, ())) > 1:
            raise IngestError(f"{where}: {attribute} is given twice")
    both = group.get("capacitance", "0")
    capacitance = {edge: number(group.get(f"{edge}_capacitance", both), None, where) for edge in ("rise", "fall")}
    arcs = []
    for timing in group.all("timing"):
        tables = {
            part.kind: _table(part, templates, f"{where}, {part.kind}")
            for part in timing.groups
            if part.kind in _TABLES
        }
        for related in timing.get("related_pin").split():
            kind = timing.get("timing_type", "combinational")
            arcs.append(Arc(related, timing.get("timing_sense", "non_unate"), kind, tables))
    return Pin(name, group.get("direction", "input"), capacitance, group.get("clock") == "true", tuple(arcs))


def _table(group: Group, templates: dict[str, Group], where: str) -> Table:
    template = templates.get(group.arguments[0] if group.arguments else "", Group("", []))
    axes = tuple(name for name in (template.get("variable_1"), template.get("variable_2")) if name)
    index = [_numbers(group, template, f"index_{k + 1}", where) for k in range(len(axes))]
    given = group.attributes.get("values", [[]])
    rows = [_floats(row, where) for row in given[0]]
    if len(given) > 1 or len({len(row) for row in rows}) > 1:
        raise IngestError(f"{where}: values are {'given twice' if len(given) > 1 else 'rows of different lengths'}")
    flat = np.array([value for row in rows for value in row], np.float64)
    shape = tuple(len(axis) for axis in index)
    if flat.size != int(np.prod(shape)) or flat.size == 0 or flat.size > _MOST_VALUES:
        raise IngestError(f"{where}: {flat.size} values do not fit axes of lengths {shape}")
    for axis in index:
        if not (np.diff(axis) > 0).all():
            raise IngestError(f"{where}: the axis {axis.tolist()} does not rise")
    first, second = ([*index, *[np.zeros(1)] * 2])[:2]
    return Table(axes, first, second, flat.reshape(len(first), len(second)))


def _numbers(group: Group, template: Group, name: str, where: str) -> NDArray[np.float64]:
    given: Any = group.attributes.get(name) or template.attributes.get(name)
    if not given:
        raise IngestError(f"{where}: there is no {name}")
    return np.array([value for text in given[0] for value in _floats(text, where)], np.float64)


def _floats(text: str, where: str) -> list[float]:
    return [number(part, None, where) for part in text.replace(",", " ").replace("\\", " ").split()]
