"""SPEN's layers against the fifteen-fold stack of basis maps in torch, and memory against whole graphs.

Parts: `layer` (2 -> 2 forward and backward on the ego networks of real sets: time and peak memory), `epoch` (MUTAG at
the paper's width, batch 4: a pass over the set), `phases` (where its steps go), `memory` (bytes of a layer on ever
larger graphs, ego networks against whole graphs). Contenders run in turn, in one process, on one thread; the
processor's time is compared, as machines are shared. Peak memory (of 64 -> 64) is what a process of its own grows by
(Linux).

    NEARHOP_DATA=... python benchmarks/spen.py
    python benchmarks/spen.py --only epoch --repeats 3
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import torch
from _measure import versions
from _spen_plain import PlainBatch, PlainMap, PlainSPEN
from torch.nn.functional import cross_entropy

from nearhop import GraphStore, datasets
from nearhop.gnn import SPEN
from nearhop.gnn.spen import BagPlan, EgoGraphs, EquivariantMap, SizeClasses, plain
from nearhop.sampling import ego_bag, graph_bag

WIDTHS = ((16, 16), (64, 64), (128, 64))
SETS = ("mutag", "nci1", "imdb-binary")


def layer_case(name, widths, graphs):
    """The ego networks of some graphs, and two ways to run a 2 -> 2 layer on them, each averaged over copies."""
    data = datasets.load_graphs(name)
    bag = ego_bag(data.store).take(np.arange(min(graphs, len(data))))
    classes = SizeClasses.fit(bag.sizes)
    plan = BagPlan(bag, classes)
    torch.manual_seed(0)
    ours = EquivariantMap(2, 2, *widths, num_classes=len(classes))
    theirs = PlainMap("22", *widths, len(classes))
    theirs.weight.data, theirs.bias.data = ours.basis_weights().detach(), ours.bias.data.reshape(len(classes), 2, -1)
    blocks = PlainBatch(bag, type("", (), {"pairs": None, "nodes": None}), classes)
    x = torch.randn(plan.num_pairs, widths[0])

    def factored():
        given = x.clone().requires_grad_()
        out = ours(given, plan)
        out.square().sum().backward()
        return out.detach(), given.grad

    def stacked():
        given = x.clone().requires_grad_()
        taken, made = given[blocks.pair], []
        for m, count, k, _, entries in blocks.blocks:
            made.append(theirs(taken[entries].reshape(count, m, m, -1), k).reshape(-1, widths[1]))
        out = plain.mean_rows(torch.cat(made), blocks.pair, blocks.pair_copies)
        out.square().sum().backward()
        return out.detach(), given.grad

    return bag, factored, stacked


def cpu(run):
    start = time.process_time()
    run()
    return time.process_time() - start


def compare(ours, theirs, repeats):
    """Medians of processor seconds, run in turn, and the ratio."""
    ours(), theirs()
    pairs = np.array([(cpu(ours), cpu(theirs)) for _ in range(repeats)])
    first, second = np.median(pairs, axis=0)
    return first, second, float(np.median(pairs[:, 1] / pairs[:, 0]))


def peak_of(name, widths, graphs, which):
    """MiB by which the process grows while one contender runs twice: measured in a process of its own."""
    command = [sys.executable, __file__, "--peak", name, *map(str, (*widths, graphs)), which]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def measure_peak(name, first, second, graphs, which):
    _, ours, theirs = layer_case(name, (int(first), int(second)), int(graphs))
    small = layer_case(name, (2, 2), 4)
    small[1](), small[2]()  # kernels compiled or read, libraries loaded
    before = resident("VmRSS")
    for _ in range(2):
        (ours if which == "ours" else theirs)()
    print(resident("VmHWM") - before)


def resident(what):
    """MiB of the process now (VmRSS) or at most (VmHWM), from Linux."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024


def layers(given):
    print("| set, graphs | entries, pairs | channels | nearhop s | stack s | ratio | nearhop MiB | stack MiB |")
    print("|---|---|---|---|---|---|---|---|")
    for name in given.datasets:
        for widths in WIDTHS:
            graphs = given.graphs if name != "imdb-binary" else max(1, given.graphs // 8)
            bag, ours, theirs = layer_case(name, widths, graphs)
            for a, b in zip(ours(), theirs(), strict=True):
                assert torch.allclose(a, b, atol=1e-3 * float(b.abs().max())), "the two differ"
            first, second, ratio = compare(ours, theirs, given.repeats)
            peaks = ["", ""]
            if widths == (64, 64):
                peaks = [f"{peak_of(name, widths, graphs, which):.0f}" for which in ("ours", "theirs")]
            what = f"{name}, {bag.num_graphs} | {bag.pair.shape[0]:,}, {bag.pairs.shape[0]:,}"
            sizes = f"{widths[0]} -> {widths[1]}"
            print(f"| {what} | {sizes} | {first:.4f} | {second:.4f} | {ratio:.1f} | {peaks[0]} | {peaks[1]} |")


def epoch(given):
    """A pass over MUTAG at the paper's settings; every contender builds its batches from the same bag."""
    graphs = datasets.load_graphs("mutag")
    data = EgoGraphs(graphs)
    classes = SizeClasses.fit(data.bag.sizes)
    labels = torch.from_numpy(graphs.labels)
    hidden = [64] * 5
    models = {
        "nearhop": SPEN(data.num_tags, 2, sizes=classes, hidden=hidden, residual=given.residual),
        "stack": PlainSPEN(data.num_tags, 2, classes=len(classes), hidden=hidden, residual=given.residual),
    }

    def run(name):
        model = models[name]
        optimiser = torch.optim.AdamW(model.parameters(), lr=1.5e-3, weight_decay=0, fused=True)
        order = np.random.default_rng(0).permutation(len(graphs))
        for first in range(0, len(order), 4):
            ids = order[first : first + 4]
            batch = data.batch(ids, classes)
            if name == "stack":
                batch = PlainBatch(data.bag.take(ids), batch, classes)
            loss = cross_entropy(model(batch), labels[ids], reduction="sum")
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    counts = [sum(p.numel() for p in model.parameters()) for model in models.values()]
    assert counts[0] == counts[1], counts
    first, second, ratio = compare(lambda: run("nearhop"), lambda: run("stack"), given.repeats)
    print(
        f"MUTAG, widths {hidden}, batch 4: nearhop {first:.2f} s, stack {second:.2f} s of the processor, {ratio:.1f} x"
    )


def phases(given):
    """Where a step of that epoch goes: milliseconds of the processor, medians over batches."""
    graphs = datasets.load_graphs("mutag")
    data = EgoGraphs(graphs)
    classes = SizeClasses.fit(data.bag.sizes)
    labels = torch.from_numpy(graphs.labels)
    model = SPEN(data.num_tags, 2, sizes=classes, hidden=[64] * 5, residual=given.residual)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1.5e-3, weight_decay=0, fused=True)
    order, taken = np.random.default_rng(0).permutation(len(graphs)), []
    for first in range(0, 4 * given.repeats + 12, 4):
        ids = order[first : first + 4]
        times = [time.process_time()]
        batch = data.batch(ids, classes)
        times.append(time.process_time())
        loss = cross_entropy(model(batch), labels[ids], reduction="sum")
        times.append(time.process_time())
        optimiser.zero_grad()
        loss.backward()
        times.append(time.process_time())
        optimiser.step()
        taken.append(np.diff([*times, time.process_time()]))
    found = 1e3 * np.median(taken[3:], axis=0)
    names = ("batch", "forward", "backward", "AdamW")
    print("a step: " + ", ".join(f"{name} {part:.1f} ms" for name, part in zip(names, found, strict=True)))


def memory(given):
    """Bytes held by a plan and the features of one layer of 32 channels."""
    print("| nodes | sum of m^2 | n^2 | ego networks MiB | whole graph MiB |\n|---|---|---|---|---|")
    for n in (1_000, 2_000, 4_000, 8_000, 16_000, 32_000):
        rng = np.random.default_rng(0)
        store = GraphStore.from_edges(rng.integers(0, n, 2 * n), rng.integers(0, n, 2 * n), num_nodes=n)
        bag = ego_bag(store)
        found = [held(bag)]
        if n <= 2_000:
            found.append(held(graph_bag(store)))
        else:
            found.append(found[0] * 0 + 4 * n**2 * (2 * 32 + 1) / 2**20)
        mark = "" if n <= 2_000 else " (two tensors of n^2 x 32 and n^2 indices alone)"
        print(f"| {n:,} | {bag.pair.shape[0]:,} | {n * n:,} | {found[0]:.0f} | {found[1]:,.0f}{mark} |")


def held(bag):
    """MiB of a plan, and of the input, output and what is kept between, of a 2 -> 2 layer of 32 channels."""
    plan = BagPlan(bag, SizeClasses((1,)))
    x = torch.randn(plan.num_pairs, 32, requires_grad=True)
    kept = []

    def keep(tensor):
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        out = EquivariantMap(2, 2, 32, 32)(x, plan)
    memory = {
        t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in [*tensors(vars(plan)), x, out, *kept]
    }
    return sum(memory.values()) / 2**20


def tensors(value):
    """The tensors, and arrays as such, of an object's attributes."""
    if isinstance(value, torch.Tensor | np.ndarray):
        yield torch.as_tensor(value)
    elif isinstance(value, dict | tuple | list | SimpleNamespace):
        parts = vars(value) if isinstance(value, SimpleNamespace) else value
        for part in parts.values() if isinstance(parts, dict) else parts:
            yield from tensors(part)


PARTS = {"layer": layers, "epoch": epoch, "phases": phases, "memory": memory}


def main():
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    made.add_argument("--datasets", nargs="+", default=list(SETS))
    made.add_argument("--graphs", type=int, default=188, help="graphs of each set; an eighth of imdb-binary's")
    made.add_argument("--repeats", type=int, default=5)
    made.add_argument("--residual", action="store_true", help="of epoch and phases")
    made.add_argument("--peak", nargs=5, help=argparse.SUPPRESS)
    given = made.parse_args()
    torch.set_num_threads(1)
    if given.peak:
        measure_peak(*given.peak)
        return
    print(versions("torch"), "\n")
    for part in given.only:
        PARTS[part](given)
        print()


if __name__ == "__main__":
    main()
