"""Encodings, table attention, the auto-encoder and PreRoutGNN."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from nearhop import datasets
from nearhop.embed.progress import TrainingDiverged
from nearhop.gnn.dag import GraphAutoEncoder, LevelPlan, PreRoutGNN, TimingBatch, level_encoding, level_parts, pretrain
from nearhop.gnn.dag.autoencoder import GatedConv, both_directions
from nearhop.gnn.dag.lut import TableAttention
from nearhop.gnn.dag.prerout import squared_errors
from nearhop.graphlib.errors import InvalidInput, NotFound
from nearhop.graphlib.store import GraphStore
from nearhop.tests.support import data_file, data_folder


def test_level_encoding_by_its_formula():
    found = level_encoding([0, 7, 150])
    assert found.shape == (3, 9)
    assert found.dtype == np.float32
    for row, level in zip(found, (0, 7, 150), strict=True):
        angles = [2**wave * np.pi * level / 200 for wave in range(4)]
        np.testing.assert_allclose(row, [level, *np.sin(angles), *np.cos(angles)], atol=1e-5)
    assert level_encoding([3], frequencies=0).tolist() == [[3]]
    for arguments in ((["a"],), ([1j],)):
        with pytest.raises(InvalidInput, match="level must be numbers"):
            level_encoding(*arguments)
    for arguments, message in (
        (([[1]],), "one dimension"),
        (([1],), "frequencies must be 0 to 32; got -1"),
    ):
        with pytest.raises(InvalidInput, match=message):
            level_encoding(*arguments, frequencies=-1)


def test_table_attention_is_multi_head_attention_over_numbers():
    """Against torch's, whose keys and values are the numbers times a vector, plus biases."""
    torch.manual_seed(0)
    ours, theirs = TableAttention(8, heads=2), nn.MultiheadAttention(8, 2, kdim=1, vdim=1, batch_first=True)
    with torch.no_grad():
        theirs.q_proj_weight.copy_(ours.query.weight)
        theirs.k_proj_weight.copy_(ours.key.reshape(8, 1))
        theirs.v_proj_weight.copy_(ours.value.reshape(8, 1))
        ours.bias.copy_(torch.randn(8))
        theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, torch.randn(8), ours.bias]))
        theirs.out_proj.weight.copy_(ours.out.weight)
        theirs.out_proj.bias.copy_(ours.out.bias)
    queries, keys, values = torch.randn(6, 3, 8), torch.rand(6, 3, 20), torch.randn(6, 3, 20)
    valid = torch.ones(6, 3)
    valid[0, 1] = 0
    found = ours(queries, keys, values, valid)
    flat = [part.flatten(0, 1) for part in (queries, keys, values)]
    wanted = theirs(flat[0][:, None], flat[1][..., None], flat[2][..., None], need_weights=False)[0][:, 0]
    wanted = wanted.unflatten(0, (6, 3)) * valid[..., None]
    torch.testing.assert_close(found, wanted)
    assert not found[0, 1].any()
    with pytest.raises(InvalidInput, match="multiple of heads; got dim=8, heads=3"):
        TableAttention(8, heads=3)


def small_plan():
    return LevelPlan.from_store(GraphStore.from_edges([0, 0, 1, 3, 2], [1, 2, 4, 4, 4], directed=True))


def test_features_of_other_graphs_are_refused():
    """Rows beyond the plan's nodes were left out without a word."""
    plan, model = LevelPlan.from_store(GraphStore.from_edges([0, 0], [1, 2], directed=True)), GraphAutoEncoder(4)
    for x in (
        torch.ones(9, 4),
        torch.ones(2, 4),
        torch.ones(3, 5),
        torch.ones(3, 4, dtype=torch.int64),
        np.ones((3, 4)),
    ):
        for call in (model, model.encode):
            with pytest.raises(InvalidInput, match=r"a tensor of floats \(3, 4\), by node; got"):
                call(plan, x)
    with pytest.raises(TrainingDiverged, match="the loss of epoch 0 became nan"):
        pretrain(model, [(plan, torch.full((3, 4), torch.nan))], epochs=1)
    empty = LevelPlan.from_store(GraphStore.from_edges([], [], num_nodes=0, directed=True))
    with pytest.raises(InvalidInput, match="no graphs with nodes"):
        pretrain(model, [(empty, torch.ones(0, 4))], epochs=1)
    assert len(pretrain(model, [(empty, torch.ones(0, 4)), (plan, torch.ones(3, 4))], epochs=1).losses) == 1


def test_gated_conv_by_hand():
    torch.manual_seed(0)
    plan, layer, h = small_plan(), GatedConv(3), torch.randn(5, 3)
    order, places = plan.order_on(h.device)
    found = layer(h[order], both_directions(plan, h.device))[places]
    x = torch.relu(layer.norm(h))
    src, dst = plan.edges["edge"]
    for node in range(5):
        parts = [x[node]]
        for side, (ends, others) in enumerate(((dst, src), (src, dst))):
            pairs = [other for end, other in zip(ends, others, strict=True) if end == node]
            messages = [layer.messages[side](torch.cat([x[other], x[node]])) for other in pairs]
            gated = [torch.sigmoid(m[:3]) * m[3:] for m in messages]
            stack = torch.stack(gated) if gated else torch.zeros(1, 3)
            parts.append(torch.cat([stack.sum(0), stack.mean(0), stack.max(0).values, stack.min(0).values]))
        torch.testing.assert_close(found[node], h[node] + layer.update(torch.cat(parts)))


def test_auto_encoder_learns_and_repeats():
    rng = np.random.default_rng(0)
    src = rng.integers(0, 80, 200)
    plan = LevelPlan.from_store(GraphStore.from_edges(src, src + rng.integers(1, 20, 200), directed=True))
    x = torch.randn(plan.num_nodes, 6) @ torch.randn(6, 6)
    found = []
    for _ in range(2):
        torch.manual_seed(0)
        model = GraphAutoEncoder(6, hidden=16, latent=3, layers=2)
        found.append(pretrain(model, [(plan, x)], epochs=30, lr=5e-3, seed=1).losses)
    assert found[0] == found[1]
    assert found[0][-1] < 0.5 * found[0][0]
    assert model.encode(plan, x).shape == (plan.num_nodes, 3)
    with pytest.raises(InvalidInput, match="no graphs"):
        pretrain(model, [])
    with pytest.raises(InvalidInput, match="latent must be a positive integer; got 0"):
        GraphAutoEncoder(3, latent=0)


def circuit(name):
    for path in datasets.info(name).files:
        data_file(path)
    return TimingBatch.from_store(datasets.load(name, data_folder()))


@pytest.mark.parametrize("residual", ["none", "nets", "all"])
@pytest.mark.parametrize("attention", [True, False])
def test_teacher_and_sequence_agree_where_the_teacher_is_the_pupil(residual, attention):
    from dataclasses import replace

    batch = circuit("tau2015-s27")
    torch.manual_seed(0)
    model = PreRoutGNN(batch.x.shape[1], dim=8, hidden=8, net_layers=2, residual=residual, attention=attention)
    with torch.no_grad():
        own = model(batch)
        starts = torch.as_tensor(batch.plan.levels.level == 0)
        assert torch.equal(own.state[starts], batch.state[starts])
        again = model(replace(batch, state=own.state), teacher=True)
    torch.testing.assert_close(again.state, own.state)
    torch.testing.assert_close(again.cell_delay, own.cell_delay)
    assert own.net_delay.shape == batch.net_delay.shape
    model.loss(batch, model(batch)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


class TrueDelays(nn.Module):
    """For a cell's layers: the edge's true delay, which stands where its look-up would be, and no corrections."""

    def forward(self, given):
        return torch.cat([torch.zeros(len(given), 8), given[:, :4]], 1)


class TrueWires(nn.Module):
    """In place of a net's layers: the change of arrival that stands in the sink's features."""

    def forward(self, given):
        return torch.cat([given[:, -4:], torch.zeros(len(given), 4)], 1)


@pytest.mark.parametrize("name", ["tau2015-c17", "tau2015-s27"])
def test_with_true_local_delays_the_arrival_times_are_the_timing_engine_s(name):
    """How the model merges early and late corners, and which transition causes which."""
    from dataclasses import replace

    batch = circuit(name)
    model = PreRoutGNN(batch.x.shape[1], dim=4, hidden=4, net_layers=0, attention=False)
    wire = torch.zeros(batch.plan.num_nodes, 4)
    wire[torch.as_tensor(batch.plan.edges["net"][1])] = (batch.net_delay.exp() - 0.1) / 100  # from log ps
    model.into, model.net_head = nn.Identity(), nn.Identity()
    model.propagation.rules["net"].message.layers = TrueWires()
    cell = model.propagation.rules["cell"].message
    cell.fixed, cell.layers = nn.Identity(), TrueDelays()
    with torch.no_grad():
        state = model(replace(batch, x=wire, tables=batch.cell_delay[:, None])).state
    torch.testing.assert_close(state[:, :4], batch.state[:, :4], rtol=1e-4, atol=1e-4)


def test_parts_of_a_circuit_give_the_whole_circuit_s_gradients():
    batch = circuit("tau2015-c432")
    torch.manual_seed(0)
    model = PreRoutGNN(batch.x.shape[1], dim=8, hidden=8, net_layers=2).double()
    batch = double(batch)
    totals, counts = squared_errors(batch, model(batch, teacher=True))
    whole = torch.autograd.grad((totals / counts).sum(), list(model.parameters()))
    model.zero_grad()
    parts = level_parts(batch.plan, max_nodes=100, halo_levels=4, hops=3)
    assert len(parts) >= 4
    for part in parts:
        some = batch.part(part)
        sums, _ = squared_errors(some, model(some, teacher=True))
        (sums / counts).sum().backward()
    for one, two in zip(model.parameters(), whole, strict=True):
        torch.testing.assert_close(one.grad, two, rtol=1e-6, atol=1e-9)


def double(batch):
    from dataclasses import fields, replace

    floats = {f.name: getattr(batch, f.name) for f in fields(batch) if isinstance(getattr(batch, f.name), torch.Tensor)}
    return replace(batch, **{n: t.double() for n, t in floats.items() if t.is_floating_point()})


def test_a_store_without_pins_is_named():
    with pytest.raises(NotFound, match=r"no pins with net and cell edges; its node types are \('node',\)"):
        TimingBatch.from_store(GraphStore.from_edges([0], [1], directed=True))
    with pytest.raises(InvalidInput, match="residual must be one of none, nets, all; got 'some'"):
        PreRoutGNN(3, residual="some")
