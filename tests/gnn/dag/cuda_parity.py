"""Reductions of messages on the GPU against those on the processor; a script, so that the simulator can be chosen.

python cuda_parity.py        # on the GPU, or with NUMBA_ENABLE_CUDASIM=1 in the simulator

Prints one line per check that passed, and exits with an error at the first that did not.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
import torch
from numba import config

from nearhop.gnn.dag import LevelPlan, LevelPropagation, LevelRule, reduce, reduce_cuda, segment_reduce
from nearhop.graphlib.store import GraphStore

SIMULATED = bool(config.ENABLE_CUDASIM)
NODES, EDGES = (120, 300) if SIMULATED else (20_000, 60_000)


def plan():
    rng = np.random.default_rng(2)
    src = rng.integers(0, NODES - 1, EDGES)
    dst = src + rng.integers(1, np.minimum(NODES - src, NODES // 3))
    return LevelPlan.from_store(GraphStore.from_edges(src, dst, num_nodes=NODES, directed=True))


def on_device(function):
    """What a function gives when every kernel that it calls is the GPU's."""
    if not SIMULATED:
        return function(torch.device("cuda"))
    before = reduce._run
    reduce._run = reduce_cuda.launch  # the tensors stay in host memory
    try:
        return function(torch.device("cpu"))
    finally:
        reduce._run = before


def compare(function):
    for one, two in zip(function(torch.device("cpu")), on_device(function), strict=True):
        torch.testing.assert_close(one, two.cpu(), rtol=1e-5, atol=1e-6)


def check_reductions():
    """Every reduction and its gradient, with ties, and with one thread's rows long and short."""
    graph = plan()
    for how in ("sum", "mean", "max", "gated"):

        def reduced(device, how=how):
            piece = graph.relation("edge").slice(-1, device)
            messages = torch.from_numpy(np.random.default_rng(3).integers(-2, 3, (piece.num_edges, 7)) / 2)
            messages = messages.float().to(device).requires_grad_()
            out = segment_reduce(messages, piece, how)
            weights = torch.linspace(-1, 1, out.numel(), device=device).view_as(out)
            return out.detach(), torch.autograd.grad((out * weights).sum(), messages)[0]

        compare(reduced)


class Message(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(6, 7)

    def forward(self, state_src, x_src, x_dst, attr):
        return torch.tanh(self.layer(torch.cat([state_src, x_src - x_dst], 1)))


class Narrow(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(6, 4)

    def forward(self, reduced, x_dst):
        return self.layer(reduced)


def check_propagation():
    """States and gradients of a sequential and a teacher-forced pass."""
    graph = plan()

    def passes(device):
        torch.manual_seed(0)
        model = LevelPropagation({"edge": LevelRule(Message(), reduce="gated", update=Narrow())}).to(device)
        state, x = torch.randn(NODES, 4), torch.randn(NODES, 2)
        state, x = (part.to(device).requires_grad_() for part in (state, x))
        found = []
        for teacher in (None, state.detach() / 2):
            out = model(graph, state, x, teacher=teacher).state
            found += [out.detach(), *torch.autograd.grad(out.sin().sum(), [state, x, *model.parameters()])]
        return found

    compare(passes)


if __name__ == "__main__":
    warnings.simplefilter("ignore", RuntimeWarning)  # the simulator's NumPy words warn where they wrap around
    for check in (check_reductions, check_propagation):
        check()
        sys.stdout.write(f"{check.__name__}\n")
