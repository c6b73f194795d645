"""Structural Verilog: modules of gates and cells, as synthesis tools write them.

Why a reader of our own: of the packages that read netlists, `spydrnet` 1.13 stops at gate primitives with positional
pins, which the ISCAS circuits consist of; a test compares the two on the circuits that both read.
"""

from __future__ import annotations

import re

from ...graphlib.errors import IngestError
from .netlist import Instance, Netlist
from .tokens import Tokens, decode, first_twice, whole

_TOKEN = re.compile(
    r"(?P<skip>(?:\s|//[^\n]*|/\*.*?\*/|\(\*(?!\s*\)).*?\*\)|`[^\n]*)+)|(?P<open>/\*|\(\*(?!\s*\)))|\\\S+(?=\s)|\d*'[sS]?[bBdDhHoO][0-9a-fA-FxXzZ_?]+"
    r"|[A-Za-z_][\w$]*|\d+|[^\s\w]",
    re.DOTALL,
)
PRIMITIVES = ("and", "nand", "or", "nor", "xor", "xnor", "not", "buf")
_BEHAVIOUR = ("always", "initial", "function", "task", "generate", "specify", "primitive")
_WIDEST = 1 << 16  # bits of one declaration or expression
_MOST_BITS = 1 << 22  # of all declarations of a module
_DEEPEST = 32


def read_verilog(content: bytes | str, what: str = "verilog file", *, top: str | None = None) -> Netlist:
    """Parse a structural Verilog file and give one of its modules.

    Parameters
    ----------
    content : bytes or str
        The file.
    what : str
        Its name in messages.
    top : str, optional
        The module wanted; by default the first one that no other instantiates.

    Raises
    ------
    IngestError
        What is not structural Verilog, an unknown or behavioural module, or one that is not flat; the message names the
        line.

    Notes
    -----
    Read are declarations with ranges (a bit is a net of its own, `a[3]`), instances with named pins, gate primitives,
    and assignments of nets and constants. A module with behaviour (`always`, delays, ...) is taken for a cell of that
    name.
    """
    tokens = Tokens(decode(content, what), _TOKEN, what)
    modules: dict[str, Netlist] = {}
    opaque: set[str] = set()
    while tokens.peek():
        if tokens.next() != "module":
            raise tokens.error("expected a module")
        module, structural = _module(tokens)
        if module.name in modules:
            raise tokens.error(f"a second module is named {module.name!r}")
        modules[module.name] = module
        if not structural:
            opaque.add(module.name)
    used = {instance.cell for module in modules.values() for instance in module.instances}
    if top is None:
        top = next((name for name in modules if name not in used and name not in opaque), None)
    if top is None or top not in modules or top in opaque:
        raise IngestError(
            f"{what}: there is no structural module {top or 'at all'}; modules: {', '.join(modules) or 'none'}"
        )
    twice = first_twice(instance.name for instance in modules[top].instances)
    if twice is not None:
        raise IngestError(f"{what}: two instances of {top} are named {twice!r}")
    for instance in modules[top].instances:
        if instance.cell in modules and instance.cell not in opaque:
            raise IngestError(f"{what}: {top} is not flat, {instance.name} is an instance of module {instance.cell}")
    return modules[top]


class _Wide(dict[str, list[str]]):
    """The bits of a module's wide nets by name, how many they are, and which ports it has met."""

    def __init__(self) -> None:
        super().__init__()
        self.num_bits = 0
        self.ports: set[tuple[str, str]] = set()


def _module(tokens: Tokens) -> tuple[Netlist, bool]:
    module = Netlist(_name(tokens))
    wide = _Wide()
    if tokens.peek() == "(":
        _header(tokens, module, wide)
    tokens.expect(";")
    while (word := tokens.next()) != "endmodule":
        if word in _BEHAVIOUR or (word == "assign" and tokens.peek() == "#"):
            while tokens.next() != "endmodule":
                pass
            return module, False
        if word in ("input", "output", "inout"):
            _declare(tokens, module, wide, word)
        elif word in ("wire", "reg", "tri", "supply0", "supply1"):
            for net in _declare(tokens, module, wide, word):
                if word.startswith("supply"):
                    module.aliases[net] = word[-1]
        elif word == "assign":
            _assign(tokens, module, wide)
        elif word != ";":
            _instances(tokens, module, wide, _plain(word))
    return module, True


def _header(tokens: Tokens, module: Netlist, wide: _Wide) -> None:
    """The port list: names that are declared below, or ANSI declarations."""
    tokens.expect("(")
    direction, bits = "", [0, -1]
    while (word := tokens.next()) != ")":
        if word in ("input", "output", "inout"):
            direction, bits = word, _range(tokens)
        elif word in ("wire", "reg", ","):
            bits = _range(tokens) if tokens.peek() == "[" else bits
        elif direction:
            _port(module, direction, _bits(_plain(word), bits, wide, tokens), wide)


def _declare(tokens: Tokens, module: Netlist, wide: _Wide, kind: str) -> list[str]:
    if tokens.peek() in ("wire", "reg"):
        tokens.next()
    bits, found = _range(tokens), []
    while (word := tokens.next()) != ";":
        if word == ",":
            continue
        nets = _bits(_plain(word), bits, wide, tokens)
        found += nets
        if kind in ("input", "output", "inout"):
            _port(module, kind, nets, wide)
    return found


def _port(module: Netlist, kind: str, nets: list[str], wide: _Wide) -> None:
    for known, way in ((module.inputs, "input"), (module.outputs, "output")):
        if kind in (way, "inout"):
            new = [net for net in nets if (way, net) not in wide.ports]
            wide.ports.update((way, net) for net in new)
            known += new


def _range(tokens: Tokens) -> list[int]:
    """[high, low] of a range, or [0, -1] where there is none."""
    if tokens.peek() != "[":
        return [0, -1]
    tokens.next()
    ends = []
    for closing in (":", "]"):
        ends.append(whole(tokens.next(), tokens, "a range needs numbers"))
        tokens.expect(closing)
    if abs(ends[0] - ends[1]) >= _WIDEST:
        raise tokens.error(f"the range [{ends[0]}:{ends[1]}] is wider than {_WIDEST} bits")
    return ends


def _bits(name: str, ends: list[int], wide: _Wide, tokens: Tokens) -> list[str]:
    high, low = ends
    if (high, low) == (0, -1):
        return [name]
    step = -1 if high >= low else 1
    wide.num_bits += abs(high - low) + 1
    if wide.num_bits > _MOST_BITS:
        raise tokens.error(f"the declarations of a module have more than {_MOST_BITS:,} bits")
    wide[name] = [f"{name}[{bit}]" for bit in range(high, low + step, step)]
    return wide[name]


def _assign(tokens: Tokens, module: Netlist, wide: _Wide) -> None:
    left = _expression(tokens, wide)
    tokens.expect("=")
    right = _expression(tokens, wide)
    tokens.expect(";")
    if len(left) != len(right):
        raise tokens.error(f"an assignment joins {len(left)} bits with {len(right)}")
    for net, driver in zip(left, right, strict=True):
        if net in module.aliases:
            raise tokens.error(f"a second assignment drives {net!r}")
        module.aliases[net] = driver


def _instances(tokens: Tokens, module: Netlist, wide: _Wide, cell: str) -> None:
    if tokens.peek() == "#":
        raise tokens.error(f"parameters of {cell!r} are not supported")
    while True:
        name = f"{cell}_{len(module.instances)}" if tokens.peek() == "(" else _name(tokens)
        module.instances.append(Instance(name, cell, _connections(tokens, wide, cell)))
        if (word := tokens.next()) == ";":
            return
        if word != ",":
            raise tokens.error(f"expected ',' or ';' after an instance of {cell!r}, found {word[:40]!r}")


def _connections(tokens: Tokens, wide: _Wide, cell: str) -> dict[str, str]:
    tokens.expect("(")
    pins: dict[str, str] = {}
    while tokens.peek() != ")":
        if tokens.peek() == ",":
            tokens.next()
            continue
        if tokens.peek() == ".":
            tokens.next()
            pin = _name(tokens)
            tokens.expect("(")
            nets = [] if tokens.peek() == ")" else _expression(tokens, wide)
            tokens.expect(")")
        elif cell in PRIMITIVES:
            pin, nets = str(len(pins)), _expression(tokens, wide)
        else:
            raise tokens.error(f"pins of {cell!r} are not named; only gate primitives have pins by position")
        if pin in pins:
            raise tokens.error(f"pin {pin!r} is connected twice")
        if len(nets) > 1:
            raise tokens.error(f"pin {pin!r} is {len(nets)} bits wide; cells of a flat netlist have pins of one bit")
        pins[pin] = nets[0] if nets else ""
    tokens.next()
    return pins


def _expression(tokens: Tokens, wide: _Wide, depth: int = 0) -> list[str]:
    """The bits of a net, a bit of one, a constant, or a concatenation; high bits first."""
    if tokens.peek() == "{":
        tokens.next()
        if depth >= _DEEPEST:
            raise tokens.error(f"concatenations lie more than {_DEEPEST} deep")
        found = _expression(tokens, wide, depth + 1)
        while (word := tokens.next()) == ",":
            found += _expression(tokens, wide, depth + 1)
            if len(found) > _WIDEST:
                raise tokens.error(f"a concatenation is wider than {_WIDEST} bits")
        if word != "}":
            raise tokens.error(f"expected ',' or '}}', found {word[:40]!r}")
        return found
    word = tokens.next()
    if "'" in word:
        return _constant(word, tokens)
    name = _plain(word)
    if not re.match(r"[\\A-Za-z_]", word):
        raise tokens.error(f"expected a net, found {word[:40]!r}")
    if tokens.peek() != "[":
        return list(wide.get(name, [name]))
    tokens.next()
    bit = whole(tokens.next(), tokens, f"a bit of {name!r} needs a number")
    tokens.expect("]")
    return [f"{name}[{bit}]"]


def _constant(word: str, tokens: Tokens) -> list[str]:
    size, _, rest = word.partition("'")
    base = {"b": 2, "o": 8, "d": 10, "h": 16}[rest.lstrip("sS")[0].lower()]
    digits = rest.lstrip("sS")[1:].replace("_", "")
    width = whole(size, tokens, "a constant needs a width") if size else 1
    try:
        value = int(digits, base) if len(digits) <= _WIDEST else 0
    except ValueError:
        raise tokens.error(f"the constant {word[:40]!r} has undefined bits") from None
    if not 0 < width <= _WIDEST or len(digits) > _WIDEST:
        raise tokens.error(f"the constant {word[:40]!r} is not 1 to {_WIDEST} bits wide")
    return list(f"{value & (1 << width) - 1:0{width}b}")


def _name(tokens: Tokens) -> str:
    word = tokens.next()
    if not re.match(r"[\\A-Za-z_]", word):
        raise tokens.error(f"expected a name, found {word[:40]!r}")
    return _plain(word)


def _plain(word: str) -> str:
    """A name without the backslash of escaped ones; it stays where the rest is the name of a constant."""
    name = word.removeprefix("\\")
    return word if name in ("0", "1") else name
