"""Circuits as graphs: readers of netlists, cell libraries, wires and constraints, and their exact timing.

Liberty, Verilog, SPEF, SDC, BLIF and AIGER come in as text or bytes and go out as plain records; `timing_graph` joins
them, `analyse` computes arrival times and slews, `timing_store` makes a store of it. Nothing here learns.
"""

from ...graphlib.faces import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
