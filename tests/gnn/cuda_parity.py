"""A NAT whose caches lie on the GPU against one whose caches lie on the host; a script, so that the simulator can be
chosen first.

python cuda_parity.py        # on the GPU, or with NUMBA_ENABLE_CUDASIM=1 in the simulator

Prints one line per check that passed, and exits with an error at the first that did not.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
import torch
from numba import config

from nearhop.gnn import NAT
from nearhop.gnn.nat.memory import DeviceMemory, HostMemory

SIMULATED = bool(config.ENABLE_CUDASIM)
NODES, BATCH, BATCHES = (14, 8, 4) if SIMULATED else (2000, 500, 8)
OPTIONS = {"sizes": (1, 6, 4), "value_dim": 3, "self_dim": 8, "hidden_dim": 8, "time_dim": 2, "dropout": 0.0}


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


def batches():
    rng = np.random.default_rng(5)
    for batch in range(BATCHES):
        src, dst = rng.integers(0, NODES, (2, BATCH))
        ids = batch * BATCH + rng.permutation(BATCH)
        yield src, dst, rng.integers(0, NODES, (BATCH, 2)), batch + np.sort(rng.random(BATCH)), ids


def step(model, src, dst, negatives, time, ids):
    """Scores, and the gradients of a loss that sees them all."""
    model.zero_grad()
    positive, negative = model(src, dst, negatives, time=time)
    (positive.tanh().sum() - (negative**2).sum()).backward()
    model.observe(src, dst, time=time, edge_ids=ids)
    gradients = {name: p.grad.cpu().numpy() for name, p in model.named_parameters() if p.grad is not None}
    return positive.detach().cpu().numpy(), negative.detach().cpu().numpy(), gradients


def check_training():
    """Scores, gradients and caches, for both presets, with features and without."""
    for changes in ({}, {"compat": "released", "readout": "sum"}, {"sizes": (1, 5)}, {"sizes": (1,)}):
        host, device = two_models(**changes)
        for events in batches():
            mine, theirs = step(host, *events), step(device, *events)
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


if __name__ == "__main__":
    warnings.simplefilter("ignore", RuntimeWarning)  # the simulator's NumPy words warn where they wrap around
    for check in (check_training, check_state):
        check()
        sys.stdout.write(f"{check.__name__}\n")
