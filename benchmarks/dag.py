"""Level propagation against masked loops and against one node at a time, on circuits and a generated graph.

Three ways to compute the same pass, with the same small network (16 numbers a node, messages by one hidden layer, gated
sum and maximum, update by one layer):
- nearhop: `LevelPropagation` with perceptrons, forward, and forward with backward; the latter also with the same
  network of ordinary modules ("written in torch"), which the library recognises, and of modules that it does not
  recognise ("any module", as `--memory` has it);
- masked loop, as models in PyTorch Geometric do it: for each level, the edges whose destination lies in it are found by
  a mask over all edges, reduced by `torch_geometric.utils.scatter`, and written into the state by `torch.where`;
- node by node: one Python step per node, each edge alone.
Outputs are compared to 1e-5 first. Where a contender would take minutes, its first levels are run and the rest is
extrapolated by the number of levels; such figures carry a star.

Seconds are processor time of one thread, so that a busy machine does not count.

    python benchmarks/dag.py [--datasets epfl-log2 iscas85-c6288] [--nodes 1000000 --levels 1000] [--memory]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

import numpy as np
import torch
from _measure import versions
from torch import nn

from nearhop import datasets
from nearhop.gnn.dag import EdgePerceptron, LevelPlan, LevelPropagation, LevelRule, NodePerceptron, scan
from nearhop.graphlib.sparse import topological_levels
from nearhop.graphlib.store import GraphStore

DIM = 16
CIRCUITS = ("iscas85-c6288", "iscas89-s38417", "epfl-sin", "epfl-log2", "epfl-div", "epfl-hyp")
PATIENCE_S = 15.0  # of a contender, before the rest of its levels is extrapolated


def message() -> nn.Module:
    return EdgePerceptron({"state_src": DIM, "x_dst": DIM}, [DIM, 1 + 2 * DIM])


def update() -> nn.Module:
    return NodePerceptron({"reduced": 2 * DIM}, [DIM], last="tanh")


class Written(nn.Module):
    """The same message as one would write it."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2 * DIM, DIM), nn.ReLU(), nn.Linear(DIM, 1 + 2 * DIM))

    def forward(self, state_src, x_src, x_dst, attr):
        return self.layers(torch.cat([state_src, x_dst], 1))


class WrittenUpdate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2 * DIM, DIM)

    def forward(self, reduced, x_dst):
        return torch.tanh(self.layer(reduced))


class Other(nn.Module):
    """The same network as a module that the library does not know."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *given):
        return torch.atleast_2d(self.network(*given))


def any_module() -> LevelRule:
    """The rule of modules that the library does not know."""
    return LevelRule(Other(message()), reduce="gated", update=Other(update()))


def masked_pass(rule, plan, state, x, levels=None):
    """The loop over levels with masks; autograd keeps a state per level."""
    from torch_geometric.utils import scatter

    src, dst = (torch.from_numpy(np.asarray(ends)) for ends in plan.edges["edge"])
    level = torch.from_numpy(plan.levels.level.astype(np.int64))
    edge_level, n = level[dst], plan.num_nodes
    h = torch.where((level == 0)[:, None], state, torch.zeros_like(state))
    for number in range(1, min(plan.num_levels, levels or plan.num_levels)):
        chosen = edge_level == number
        s, d = src[chosen], dst[chosen]
        m = rule.message(h[s], x[s], x[d], None)
        gate = torch.sigmoid(m[:, :1])
        total = scatter(gate * m[:, 1 : 1 + DIM], d, 0, n, reduce="sum")
        largest = scatter(gate * m[:, 1 + DIM :], d, 0, n, reduce="max")
        new = rule.update(torch.cat([total, largest], 1), x)
        h = torch.where((level == number)[:, None], new, h)
    return h


def node_pass(rule, plan, state, x, nodes=None):
    """One node at a time, in topological order."""
    src, dst = plan.edges["edge"]
    order = np.argsort(dst, kind="stable")
    cuts = np.searchsorted(dst[order], np.arange(plan.num_nodes + 1))
    h = state.clone()
    for v in plan.levels.order[: nodes or plan.num_nodes].tolist():
        into = src[order[cuts[v] : cuts[v + 1]]]
        if into.size == 0:
            continue
        m = torch.cat([rule.message(h[u : u + 1], None, x[v : v + 1], None) for u in into.tolist()])
        gate = torch.sigmoid(m[:, :1])
        parts = [(gate * m[:, 1 : 1 + DIM]).sum(0), (gate * m[:, 1 + DIM :]).max(0).values]
        h[v] = rule.update(torch.cat(parts)[None], None)[0]
    return h


def seconds(run) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def extrapolated(run, total: int, first: int) -> tuple[float, str]:
    """Seconds for `total` levels or nodes: measured if the first ones say that it takes little, else extrapolated."""
    first = min(first, total)
    run(min(first, 3))  # what is imported and compiled on the first call
    part = seconds(lambda: run(first))
    if first == total:
        return part, ""
    if part * total / first < PATIENCE_S:
        return seconds(lambda: run(None)), ""
    return part * total / first, "*"


def measure(name: str, plan: LevelPlan, *, compare: bool = True) -> str:
    torch.manual_seed(0)
    rule = LevelRule(message(), reduce="gated", update=update())
    model = LevelPropagation({"edge": rule})
    state, x = torch.randn(plan.num_nodes, DIM), torch.randn(plan.num_nodes, DIM)
    parameters = list(model.parameters())

    def backward(run):
        torch.autograd.grad((run() ** 2).mean(), parameters)

    with torch.no_grad():
        ours = model(plan, state, x).state  # slices are made, kernels compiled
        if compare:
            level = torch.from_numpy(plan.levels.level)
            few = min(plan.num_levels, 40)
            loop = masked_pass(rule, plan, state, x, few)
            torch.testing.assert_close(ours[level < few], loop[level < few], rtol=1e-5, atol=1e-5)
            nodes = min(plan.num_nodes, 2000)
            alone = node_pass(rule, plan, state, x, nodes)
            done = torch.from_numpy(plan.levels.order[:nodes].astype(np.int64))
            torch.testing.assert_close(ours[done], alone[done], rtol=1e-5, atol=1e-5)
        mine = min(seconds(lambda: model(plan, state, x)) for _ in range(3 if plan.num_nodes < 100_000 else 1))
        loop, star = extrapolated(lambda k: masked_pass(rule, plan, state, x, k), plan.num_levels, 12)
        single, note = extrapolated(lambda k: node_pass(rule, plan, state, x, k), plan.num_nodes, 2000)
    backward(lambda: model(plan, state, x).state)  # kernels and slices of the backward pass
    both = min(seconds(lambda: backward(lambda: model(plan, state, x).state)) for _ in range(3))
    other = LevelRule(Written(), reduce="gated", update=WrittenUpdate())
    written = timed_both(LevelPropagation({"edge": other}), plan, state, x)
    free = ""
    if plan.num_nodes < 50_000:  # minutes for the others
        free = f"{timed_both(LevelPropagation({'edge': any_module()}), plan, state, x):.3f}"
    full, mark = extrapolated(lambda k: backward(lambda: masked_pass(rule, plan, state, x, k)), plan.num_levels, 12)
    return (
        f"| {name} | {plan.num_nodes:,} | {plan.num_levels:,} | {mine:.3f} | {loop:.3f}{star} | {single:.2f}{note} | "
        f"{loop / mine:.1f}x, {single / mine:.0f}x | {both:.3f} | {full:.3f}{mark} | {full / both:.1f}x | "
        f"{written:.3f} | {free} |"
    )


def timed_both(model, plan, state, x) -> float:
    """Forward and backward."""

    def both():
        torch.autograd.grad((model(plan, state, x).state ** 2).mean(), list(model.parameters()))

    both()
    return min(seconds(both) for _ in range(3))


def masked_scan(plan, start, levels=None):
    """Longest paths by the loop over levels with masks."""
    from torch_geometric.utils import scatter

    src, dst = (torch.from_numpy(np.asarray(ends)) for ends in plan.edges["edge"])
    level = torch.from_numpy(plan.levels.level.astype(np.int64))
    edge_level, h = level[dst], start
    for number in range(1, min(plan.num_levels, levels or plan.num_levels)):
        chosen = edge_level == number
        new = scatter(h[src[chosen]] + 1, dst[chosen], 0, plan.num_nodes, reduce="max")
        h = torch.where((level == number)[:, None], start + new, h)
    return h


def measure_scan(name: str, plan: LevelPlan) -> str:
    """Linear messages: longest paths, 16 at once."""
    start = torch.zeros(plan.num_nodes, DIM, requires_grad=True)
    shift = torch.ones(plan.relations["edge"].num_edges)

    def ours():
        return scan(plan, start, shift=shift, reduce="max")

    assert torch.equal(ours()[:, 0].long(), torch.from_numpy(plan.levels.level.astype(np.int64)))
    mine = min(seconds(ours) for _ in range(3))
    both = min(seconds(lambda: torch.autograd.grad(ours().sum(), start)) for _ in range(3))
    with torch.no_grad():
        loop, star = extrapolated(lambda k: masked_scan(plan, start, k), plan.num_levels, 12)
    full, mark = extrapolated(
        lambda k: torch.autograd.grad(masked_scan(plan, start, k).sum(), start), plan.num_levels, 12
    )
    rate = plan.relations["edge"].num_edges / mine / 1e6
    return (
        f"| {name} | {mine:.4f} | {rate:.1f} | {loop:.3f}{star} | {loop / mine:.0f}x | {both:.4f} | {full:.3f}{mark} | "
        f"{full / both:.0f}x |"
    )


def circuit(name: str) -> LevelPlan:
    store = datasets.load(name)
    edges = store.edge_list()
    return LevelPlan(topological_levels(store), {"edge": (edges.src, edges.dst)})


def generated(nodes: int, levels: int, seed: int = 0) -> LevelPlan:
    """Equal levels; every node but the first level's has an edge from the level before and two from any before."""
    rng = np.random.default_rng(seed)
    level = np.arange(nodes) * levels // nodes
    starts = np.searchsorted(level, np.arange(levels + 1))
    dst = np.flatnonzero(level > 0)
    last = starts[level[dst] - 1] + rng.integers(0, starts[level[dst]] - starts[level[dst] - 1])
    skip = [rng.integers(0, starts[level[dst]]) for _ in range(2)]
    src = np.concatenate([last, *skip])
    store = GraphStore.from_edges(src, np.tile(dst, 3), num_nodes=nodes, directed=True)
    return LevelPlan(topological_levels(store), {"edge": (src, np.tile(dst, 3))})


def peak_mib(*, forget: bool = False) -> float:
    """The most resident memory of this process so far, on Linux; with `forget`, from now on."""
    if forget:
        with open("/proc/self/clear_refs", "w") as command:
            command.write("5")
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def memory(levels: int, checkpoint: bool, nodes: int = 40_000) -> float:
    """Peak MiB of a forward and backward pass beyond what was there before, in a process of its own."""
    code = (
        "import sys, torch; sys.path.insert(0, 'benchmarks'); import dag; torch.set_num_threads(1)\n"
        f"plan = dag.generated({nodes}, {levels})\n"
        "rule = dag.any_module()\n"
        f"model = dag.LevelPropagation({{'edge': rule}}, checkpoint={checkpoint})\n"
        f"s, x = torch.randn({nodes}, 16), torch.randn({nodes}, 16)\n"
        "with torch.no_grad(): model(plan, s, x)\n"
        "before = dag.peak_mib(forget=True)\n"
        "model(plan, s, x).state.mean().backward()\n"
        "print(dag.peak_mib() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def part_memory(nodes: int, max_nodes: int | None) -> float:
    """Peak MiB of a teacher-forced step over a graph, whole or in parts, in a process of its own."""
    code = (
        "import sys, torch; sys.path.insert(0, 'benchmarks'); import dag; torch.set_num_threads(1)\n"
        f"plan = dag.generated({nodes}, 100)\n"
        "rule = dag.any_module()\n"
        "model = dag.LevelPropagation({'edge': rule})\n"
        f"s, x = torch.randn({nodes}, 16), torch.randn({nodes}, 16)\n"
        "from nearhop.gnn.dag import level_parts\n"
        "small, y = dag.generated(100, 10), torch.randn(100, 16)\n"
        "model(small, y, y, teacher=y).state.sum().backward()  # what is imported and compiled\n"
        "before = dag.peak_mib(forget=True)\n"
        f"if {max_nodes} is None:\n"
        "    (model(plan, s, x, teacher=s).state ** 2).sum().backward()\n"
        "else:\n"
        f"    for part in level_parts(plan, max_nodes={max_nodes}, halo_levels=0, hops=1):\n"
        "        t = s[part.nodes]\n"
        "        (model(part.plan, t, x[part.nodes], teacher=t).state[part.core] ** 2).sum().backward()\n"
        "print(dag.peak_mib() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", nargs="*", default=list(CIRCUITS))
    parser.add_argument("--nodes", type=int, default=1_000_000, help="of the generated graph; 0 leaves it out")
    parser.add_argument("--levels", type=int, default=1000)
    parser.add_argument("--memory", action="store_true", help="peak memory by depth, at one number of nodes")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(versions("torch", "torch_geometric", "networkx"))
    heads = ("graph", "nodes", "levels", "forward (s)", "masked loop", "node by node", "ours is", "with backward (s)")
    print(
        "| "
        + " | ".join((*heads, "masked loop", "ours is", "written in torch", "any module"))
        + " |\n|---"
        + "|---:" * 11
        + "|"
    )
    for name in given.datasets:
        print(measure(name, circuit(name)), flush=True)
    if given.nodes:
        print(measure("generated", generated(given.nodes, given.levels), compare=given.nodes <= 200_000), flush=True)
    scan_heads = ("longest paths", "forward (s)", "M edges/s", "masked loop", "ours is", "with backward (s)")
    print("\n| " + " | ".join((*scan_heads, "masked loop", "ours is")) + " |\n|---" + "|---:" * 7 + "|")
    for name in given.datasets:
        print(measure_scan(name, circuit(name)), flush=True)
    if given.nodes:
        print(measure_scan("generated", generated(given.nodes, given.levels)), flush=True)
    if given.memory:
        print("\n| levels | checkpoint (MiB) | without (MiB) |\n|---:|---:|---:|")
        for levels in (10, 100, 1000):
            print(f"| {levels:,} | {memory(levels, True):.0f} | {memory(levels, False):.0f} |", flush=True)
        print("\n| nodes | teacher-forced, whole (MiB) | in parts of 10,000 (MiB) |\n|---:|---:|---:|")
        for nodes in (25_000, 50_000, 100_000, 200_000):
            print(f"| {nodes:,} | {part_memory(nodes, None):.0f} | {part_memory(nodes, 10_000):.0f} |", flush=True)


if __name__ == "__main__":
    main()
