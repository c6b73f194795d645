"""A NAT whose caches lie on the GPU against one whose caches lie on the host; a script, so that the simulator can be
chosen first.

python cuda_parity.py        # on the GPU, or with NUMBA_ENABLE_CUDASIM=1 in the simulator

Prints one line per check that passed, and exits with an error at the first that did not.
"""

from __future__ import annotations

import sys
import warnings
from contextlib import contextmanager

import numpy as np
import torch
from numba import config

from nearhop.gnn import NAT
from nearhop.gnn.nat import device_layers, layers, layers_cuda
from nearhop.gnn.nat.memory import DeviceMemory, HostMemory
from nearhop.graphlib.compute import random_cpu

SIMULATED = bool(config.ENABLE_CUDASIM)
NODES, BATCH, BATCHES = (14, 8, 4) if SIMULATED else (2000, 500, 8)
OPTIONS = {"sizes": (1, 6, 4), "value_dim": 3, "self_dim": 8, "hidden_dim": 8, "time_dim": 2, "dropout": 0.0}


@contextmanager
def by_kernels(used):
    """Whether layers run by CUDA kernels, in the simulator on tensors of the processor, or in plain torch."""
    before = device_layers.by_kernels
    device_layers.by_kernels = lambda tensor: used and (SIMULATED or tensor.is_cuda)
    try:
        yield
    finally:
        device_layers.by_kernels = before


def two_models(**changes):
    """Equal weights; the second keeps its caches on the device."""
    rng = np.random.default_rng(3)
    features = {
        "node_features": rng.standard_normal((NODES, 3)),
        "edge_features": rng.standard_normal((BATCH * BATCHES, 2)),
    }
    models = []
    for _ in range(2):
        torch.manual_seed(1)
        models.append(NAT(NODES, **{**OPTIONS, **changes}, **(features if changes.get("readout") == "sum" else {})))
    host, device = models
    if SIMULATED:  # the layers stay in host memory; the caches are the simulator's
        device.memory = DeviceMemory(device.cache, torch.device("cpu"))
    else:
        device.to("cuda")
    if not isinstance(device.memory, DeviceMemory) or not isinstance(host.memory, HostMemory):
        raise AssertionError("the caches are not where this check needs them")
    return host, device


def batches(size=BATCH, nodes=NODES):
    rng = np.random.default_rng(5)
    for batch in range(BATCHES):
        src, dst = rng.integers(0, nodes, (2, size))
        ids = batch * size + rng.permutation(size)
        yield src, dst, rng.integers(0, nodes, (size, 2)), batch + np.sort(rng.random(size)), ids


def step(model, src, dst, negatives, time, ids):
    """Scores, and the gradients of a loss that sees them all."""
    model.zero_grad()
    positive, negative = model(src, dst, negatives, time=time)
    (positive.tanh().sum() - (negative**2).sum()).backward()
    model.observe(src, dst, time=time, edge_ids=ids)
    gradients = {name: p.grad.cpu().numpy() for name, p in model.named_parameters() if p.grad is not None}
    return positive.detach().cpu().numpy(), negative.detach().cpu().numpy(), gradients


def check_training():
    """Scores, gradients and caches, for both presets, with features and without, by kernels and in plain torch."""
    few = (2, 5) if SIMULATED else (BATCH, NODES)  # the simulator is slow where warps add up
    for changes, used, events_of in (
        ({}, False, (BATCH, NODES)),
        ({}, True, few),
        ({"compat": "released", "readout": "sum"}, True, (BATCH, NODES)),
        ({"sizes": (1, 5), "code_dim": 0}, True, few),
        ({"sizes": (1,)}, False, (BATCH, NODES)),
    ):
        host, device = two_models(**changes)
        for events in batches(*events_of):
            mine = step(host, *events)
            with by_kernels(used):
                theirs = step(device, *events)
            for one, two in zip(mine[:2], theirs[:2], strict=True):
                np.testing.assert_allclose(one, two, rtol=2e-4, atol=1e-5)
            if mine[2].keys() != theirs[2].keys() or len(mine[2]) < 10:
                raise AssertionError(f"gradients of {sorted(mine[2])} against {sorted(theirs[2])}")
            for name, gradient in mine[2].items():
                np.testing.assert_allclose(gradient, theirs[2][name], rtol=2e-3, atol=1e-4, err_msg=name)
        states = host.state(), device.state()
        for name in ("cache.keys", "cache.edge_ids", "cache.times", "last_other", "cache.num_events"):
            np.testing.assert_array_equal(states[0][name], states[1][name], err_msg=name)
        for name in ("cache.values", "self_rep"):
            np.testing.assert_allclose(states[0][name], states[1][name], rtol=2e-4, atol=1e-5, err_msg=name)


def check_state():
    """A state goes from the host to the device and back, and both go on alike; a reset forgets."""
    host, device = two_models()
    stream = list(batches())
    for src, dst, _, time, ids in stream[:2]:
        host.observe(src, dst, time=time, edge_ids=ids)
    device.load_state(host.state())
    now = float(stream[2][3][0])
    np.testing.assert_allclose(host.vectors(now=now), device.vectors(now=now), rtol=2e-4, atol=1e-5)
    host.load_state(device.state())
    mine, theirs = step(host, *stream[2]), step(device, *stream[2])
    np.testing.assert_allclose(mine[0], theirs[0], rtol=2e-4, atol=1e-5)
    device.reset()
    if (device.cache.keys[:, 1:] >= 0).any() or device.cache.num_events:
        raise AssertionError("a reset left events in the caches on the device")


def check_dropout():
    """The mask is the stream's, also in the gradient and on the processor; and a run goes on exactly as it was."""
    x = torch.arange(1, 141, dtype=torch.float32).view(7, 20).to("cpu" if SIMULATED else "cuda").requires_grad_()
    generator = torch.Generator()
    key = int(torch.randint(0, 1 << 62, (1,), generator=generator.manual_seed(3)))
    with by_kernels(True):
        out = layers.drop(x, 0.3, True, generator.manual_seed(3))
        (gradient,) = torch.autograd.grad((2 * out).sum(), x)
    kept = np.array([random_cpu.uniform(np.uint64(key), i) >= 0.3 for i in range(140)]).reshape(7, 20)
    if not 60 < kept.sum() < 130:
        raise AssertionError(f"{kept.sum()} numbers of 140 are kept")
    np.testing.assert_allclose(out.detach().cpu(), kept * np.arange(1, 141).reshape(7, 20) / 0.7, rtol=1e-6)
    np.testing.assert_allclose(gradient.cpu(), kept * 2 / 0.7, rtol=1e-6)
    _, device = two_models(dropout=0.4)
    stream = list(batches(3, 6))[:2]
    found = []
    with by_kernels(True), torch.no_grad():
        device(*stream[0][:3], time=stream[0][3])
        device.observe(*stream[0][:2], time=stream[0][3], edge_ids=stream[0][4])
        state = device.state()
        other = {**state, "generator": torch.Generator().manual_seed(99).get_state().numpy()}
        for begin in (state, state, other):
            device.load_state(begin)
            found.append(device(*stream[1][:3], time=stream[1][3])[0].cpu().numpy())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5, atol=1e-6)
    if np.allclose(found[0], found[2], rtol=1e-3):
        raise AssertionError("other draws gave the same scores, so this checks less than it says")


def check_pairs_without_rows():
    """Zeros and no gradient for a pair whose caches are empty, and sums over many warps' parts."""
    rng = np.random.default_rng(0)
    pairs, slots, width = (5, 6, 40) if SIMULATED else (900, 50, 70)
    code = rng.integers(0, 3, (pairs, 4)).astype(np.uint8)
    code[2] = 0
    member = np.where((code > 0)[:, :, None], rng.integers(0, slots, (pairs, 4, 2)), -1).astype(np.int32)
    where = "cpu" if SIMULATED else "cuda"
    joint = device_layers.DenseJoint(
        *(torch.from_numpy(a).to(where) for a in (code, member, np.zeros(slots, np.int64)))
    )
    shapes = (slots, 3), (64, width), (3, width), (width,)
    given = [
        torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(where).requires_grad_() for shape in shapes
    ]
    value, codes, w_value, w_score = given
    out = device_layers.DeviceAttend.apply(joint, *given)
    ragged = layers.RaggedJoint.of_dense(joint)
    totals = value.new_zeros((ragged.code.shape[0], 3)).index_add(0, ragged.row, value[ragged.slot])
    expected = layers.softmax_pool((codes[ragged.code] + totals @ w_value).relu(), w_score, ragged.pair, ragged.pairs)
    weights = torch.linspace(-1, 1, out.numel(), device=where).view_as(out)
    np.testing.assert_allclose(out.detach().cpu(), expected.detach().cpu(), rtol=2e-4, atol=1e-5)
    if out[2].any():
        raise AssertionError("a pair without rows has a vector")
    for mine, theirs in zip(*(torch.autograd.grad((o * weights).sum(), given) for o in (out, expected)), strict=True):
        np.testing.assert_allclose(mine.cpu(), theirs.cpu(), rtol=2e-3, atol=1e-4)
    if pairs <= layers_cuda.MOST_PARTS:
        raise AssertionError("a warp has one pair at most, so this checks less than it says")


if __name__ == "__main__":
    warnings.simplefilter("ignore", RuntimeWarning)  # the simulator's NumPy words warn where they wrap around
    for check in (check_training, check_state, check_dropout, check_pairs_without_rows):
        check()
        sys.stdout.write(f"{check.__name__}\n")
