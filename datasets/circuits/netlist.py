"""A circuit's parts as every netlist reader gives them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Instance:
    """A cell or gate: `pins` maps pin names to nets; primitives number theirs, "0" is the output."""

    name: str
    cell: str
    pins: dict[str, str]


@dataclass
class Netlist:
    """A flat netlist: ports, instances, and nets joined by assignments.

    `aliases` maps a net to the one that drives it (`assign a = b`), or to a constant; `constants` are the names that
    stand for the constants 0 and 1, where the format has such: in others, nets may be called that.
    """

    name: str
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    instances: list[Instance] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)
    constants: tuple[str, ...] = ("0", "1")

    def driver_of(self, net: str) -> str:
        """The net at the end of a chain of assignments."""
        seen: set[str] = set()
        while net in self.aliases and net not in seen:
            seen.add(net)
            net = self.aliases[net]
        return net

    def __repr__(self) -> str:
        return (
            f"Netlist({self.name!r}, {len(self.inputs)} inputs, {len(self.outputs)} outputs, "
            f"{len(self.instances)} instances)"
        )
