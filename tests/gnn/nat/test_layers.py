"""NAT's compiled layers equal the same formulas in plain torch, forwards and backwards."""

from __future__ import annotations

import numpy as np
import pytest

from nearhop.sampling import NCache
from nearhop.tests.support import needs

torch = pytest.importorskip("torch", reason="needs torch")

from nearhop.gnn.nat import layers as nat_layers  # noqa: E402
from nearhop.gnn.nat import layers_cpu as nat_cpu  # noqa: E402, torch is optional


def gradients(function, inputs):
    """Results and gradients of a weighted sum of them."""
    leaves = [x.detach().clone().requires_grad_(x.is_floating_point()) for x in inputs]
    out = function(*leaves)
    weight = torch.linspace(-1, 1, out.numel()).view(out.shape)
    (out * weight).sum().backward()
    return out.detach(), [x.grad for x in leaves if x.grad is not None]


@pytest.mark.parametrize(("slots", "dim", "keys"), [(1, 1, 1), (255, 4, 40), (1500, 2, 7), (513, 5, 600), (70, 17, 90)])
def test_recurrent_step(slots, dim, keys):
    torch.manual_seed(slots)
    live = torch.rand(slots) < 0.8
    row = torch.randint(keys, (slots,))
    inputs = [torch.randn(keys, 3 * dim), torch.randn(3 * dim, slots), torch.randn(3 * dim, dim), torch.randn(3 * dim)]
    old = torch.randn(slots, dim)

    def through(step):
        return gradients(lambda table, extra, w, b: step(table, row, extra, old, live, w, b), inputs)

    (mine, my_grads), (theirs, their_grads) = through(nat_layers._SlotStep.apply), through(nat_layers.slot_step)
    np.testing.assert_allclose(mine, theirs, atol=1e-5)
    assert len(my_grads) == len(their_grads) == 4
    for one, two in zip(my_grads, their_grads, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=3e-5 * max(1.0, float(two.abs().max())))


@pytest.mark.parametrize("dim", [4, 40])
def test_recurrent_step_is_torchs_cell(dim):
    torch.manual_seed(0)
    update = nat_layers.SlotUpdate(self_dim=6, time_dim=3, edge_dim=2, dim=dim)
    reps, row = torch.randn(5, 6), torch.tensor([0, 4, 4, 2])
    times, edges, old = torch.randn(3, 4), torch.randn(4, 2), torch.randn(4, dim)
    live = torch.tensor([True, True, False, True])

    def cell(reps, times):
        message = update.message(torch.cat([reps[row], times.t(), edges], dim=1))
        return update.cell(message, old) * live[:, None]

    found = []
    for step in (lambda reps, times: update(reps, row, times, edges, old, live), cell):
        update.zero_grad()
        out, grads = gradients(step, [reps, times])
        found.append([out, *grads, *(p.grad.clone() for p in update.parameters())])
    assert len(found[0]) == 8
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


def test_tanh():
    x = np.linspace(-12, 12, 20001, dtype=np.float32)
    got = np.array([nat_cpu.tanh32(v) for v in x])
    assert np.abs(got - np.tanh(x.astype(np.float64))).max() < 4e-7


def codes_of(readout, joint):
    return torch.nn.functional.embedding(torch.from_numpy(joint.code).long(), readout.codes.weight)


def joint_of(pairs, seed=0):
    """A joint read over a grown cache, with a pair of empty nodes among them."""
    rng = np.random.default_rng(seed)
    cache = NCache(40, (1, 8, 4))
    for _ in range(4):
        cache.insert(*rng.integers(0, 30, (2, 40)))
    read = cache.lookup(np.arange(40))
    first, second = rng.integers(0, 40, (2, pairs))
    return read, read.join(first, second)


@pytest.mark.parametrize(("pairs", "hidden"), [(1, 1), (3, 16), (90, 33)])
@pytest.mark.parametrize("code_dim", [0, 5])
def test_attention(pairs, hidden, code_dim):
    read, joint = joint_of(pairs)
    torch.manual_seed(1)
    readout = nat_layers.PairReadout(3, code_dim, 0, hidden, "attention", 0.0)
    value = torch.randn(len(read), 3)

    def plain(value):
        rows = torch.from_numpy(joint.row).long()
        total = torch.zeros(len(joint), 3).index_add(0, rows, value[torch.from_numpy(joint.slot).long()])
        parts = [total] if code_dim == 0 else [codes_of(readout, joint), total]
        hidden_rows = readout.project(torch.cat(parts, dim=1)).relu()
        pools = []
        for start, stop in zip(joint.indptr[:-1], joint.indptr[1:], strict=True):
            weight = torch.softmax(hidden_rows[start:stop] @ readout.score, dim=0)
            pools.append(weight @ hidden_rows[start:stop])
        return torch.stack(pools)

    found = []
    for function in (lambda v: readout(joint, v, None, None), plain):
        readout.zero_grad()
        out, (d_value,) = gradients(function, [value])
        found.append([out, d_value, *(p.grad.clone() for p in readout.parameters())])
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4 * max(1.0, float(theirs.abs().max())))


def test_attention_with_features_of_nodes_and_plain_pool():
    _, joint = joint_of(20)
    torch.manual_seed(2)
    readout = nat_layers.PairReadout(3, 5, 2, 8, "attention", 0.0)
    value = torch.randn(int(joint.slot.max()) + 1, 3)
    without = nat_layers.PairReadout(3, 5, 0, 8, "attention", 0.0)
    without.load_state_dict({**readout.state_dict(), "project.weight": readout.project.weight[:, :8]})
    same = readout(joint, value, torch.zeros(len(joint), 2), None)
    np.testing.assert_allclose(same.detach(), without(joint, value, None, None).detach(), atol=1e-5)
    other = readout(joint, value, torch.ones(len(joint), 2), None)
    assert (other - same).abs().max() > 0.01


def test_sum_adds_up_rows():
    _, joint = joint_of(20)
    torch.manual_seed(3)
    readout = nat_layers.PairReadout(3, 5, 0, 8, "sum", 0.5).eval()
    value = torch.randn(int(joint.slot.max()) + 1, 3)
    rows = torch.cat([codes_of(readout, joint), torch.from_numpy(joint.sums(value.numpy()))], dim=1)
    projected = (readout.project(rows) - readout.project.bias).detach().numpy()
    expected = np.add.reduceat(projected, joint.indptr[:-1]) + readout.project.bias.detach().numpy()
    np.testing.assert_allclose(readout(joint, value, None, None).detach(), expected, atol=1e-4)


def test_dropout_comes_from_its_generator():
    x = torch.ones(1000, 4)
    one, two = (nat_layers.drop(x, 0.25, True, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(one, two)
    assert abs(float((one > 0).float().mean()) - 0.75) < 0.04
    assert float(one.max()) == pytest.approx(4 / 3)
    assert nat_layers.drop(x, 0.25, False, None) is x


@needs("torch")
def test_gradients_do_not_depend_on_threads():
    read, joint = joint_of(600)
    torch.manual_seed(4)
    readout = nat_layers.PairReadout(3, 5, 0, 16, "attention", 0.0)
    value = torch.randn(len(read), 3)
    found, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            readout.zero_grad()
            out, (d_value,) = gradients(lambda v: readout(joint, v, None, None), [value])
            found.append([out, d_value, *(p.grad.clone() for p in (readout.score, readout.codes.weight))])
    finally:
        torch.set_num_threads(before)
    assert joint.row.shape[0] > nat_layers._MANY
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-6)
