"""What the catalogue's circuits are read by."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from .aiger import read_aiger
from .blif import read_blif
from .constraints import read_timing
from .labels import timing_store
from .liberty import Library, read_liberty
from .logic import logic_store
from .pins import timing_graph
from .spef import read_spef
from .verilog import read_verilog

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...graphlib.store.store import GraphStore
    from ..catalog import DatasetInfo
    from ..folder import Files
    from .aiger import Aig
    from .netlist import Netlist

_library = lru_cache(maxsize=2)(read_liberty)  # all circuits of a set share both


def read_tau(files: Files, info: DatasetInfo) -> GraphStore:
    """A circuit of the TAU 2015 contest, timed. See `timing_store` for its columns."""
    netlist, spef, constraints, early, late = (files.read(path) for path in info.files)
    libraries: list[Library] = [_library(early, "tau2015_Early.lib"), _library(late, "tau2015_Late.lib")]
    name = info.files[0].rpartition("/")[2].removesuffix(".v.gz")
    graph = timing_graph(
        read_verilog(netlist, f"{name}.v"),
        libraries[0],
        libraries[1],
        read_spef(spef, f"{name}.spef"),
        read_timing(constraints, f"{name}.timing"),
    )
    return timing_store(graph)


def read_logic(files: Files, info: DatasetInfo) -> GraphStore:
    """A gate-level circuit in Verilog, BLIF or AIGER. See `logic_store` for its columns."""
    path = info.files[0]
    content = files.read(path)
    readers: dict[str, Callable[[bytes, str], Netlist | Aig]] = {
        ".aig": read_aiger,
        ".blif": read_blif,
        ".v": read_verilog,
    }
    return logic_store(readers[_suffix(path)](content, path))


def _suffix(path: str) -> str:
    return "." + path.removesuffix(".gz").rpartition(".")[2]
