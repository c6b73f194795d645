"""What the catalogue's circuits are read by."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from .aiger import read_aiger
from .blif import read_blif
from .constraints import read_timing
from .liberty import Library, read_liberty
from .logic import logic_store
from .spef import read_spef
from .timing_graph import timing_graph
from .timing_store import timing_store
from .verilog import read_verilog

if TYPE_CHECKING:
    from ...graphlib.store.store import GraphStore
    from ..catalog import DatasetInfo
    from ..folder import Files

_library = lru_cache(maxsize=2)(read_liberty)  # all circuits of a set share both


def read_tau(files: Files, info: DatasetInfo) -> GraphStore:
    """A circuit of the TAU 2015 contest, timed. See `timing_store` for its columns."""
    netlist, spef, constraints, early, late = (files.read(path) for path in info.files)
    libraries: list[Library] = [_library(early, "tau2015_Early.lib"), _library(late, "tau2015_Late.lib")]
    name = info.name.removeprefix("tau2015-")
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
    reader = {".aig": read_aiger, ".blif": read_blif, ".v": read_verilog}[_suffix(path)]
    return logic_store(reader(content, path))


def _suffix(path: str) -> str:
    return "." + path.removesuffix(".gz").rpartition(".")[2]
