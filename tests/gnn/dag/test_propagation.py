"""Level propagation against a reference that takes one node and one edge at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from nearhop.gnn.dag import LevelPlan, LevelPropagation, LevelRule, segment_reduce
from nearhop.graphlib.errors import InvalidInput, InvalidType, NotFound
from nearhop.graphlib.sparse import topological_levels
from nearhop.graphlib.store import GraphStore
from nearhop.tests.reference import dag as reference

DIM, FEATURES, ATTR = 3, 4, 2


class Message(nn.Module):
    """Reads everything it is given."""

    def __init__(self, width, attr=0, dropout=0.0):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(DIM + 2 * FEATURES + attr, 8), nn.Tanh(), nn.Linear(8, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, state_src, x_src, x_dst, attr):
        parts = [state_src, x_src, x_dst] + ([] if attr is None else [attr])
        return self.dropout(self.layers(torch.cat(parts, 1)))


class Update(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layer = nn.Linear(width + FEATURES, DIM)

    def forward(self, reduced, x_dst):
        return torch.tanh(self.layer(torch.cat([reduced, x_dst], 1)))


def random_dag(seed, num_nodes=30, num_edges=70):
    """Two relations; parallel edges, nodes without edges, edges that skip levels."""
    rng = np.random.default_rng(seed)
    ends = np.sort(rng.integers(0, num_nodes, (2, num_edges)), axis=0)
    ends = ends[:, ends[0] < ends[1]]
    names = rng.permutation(num_nodes)
    src, dst = names[ends[0]], names[ends[1]]
    cut = src.size // 2
    return num_nodes, {"net": (src[:cut], dst[:cut]), "cell": (src[cut:], dst[cut:])}


def plan_of(num_nodes, relations):
    store = GraphStore.from_typed({"pin": num_nodes}, {("pin", n, "pin"): ends for n, ends in relations.items()})
    return LevelPlan.from_store(store)


def model_of(how, *, checkpoint=True, dropout=0.0, seed=0):
    torch.manual_seed(seed)
    width = 7 if how == "gated" else 5
    reduced = 6 if how == "gated" else 5
    rules = {
        "net": LevelRule(Message(DIM, dropout=dropout), reduce="sum"),
        "cell": LevelRule(Message(width + 2, ATTR, dropout), reduce=how, update=Update(reduced), emit=2),
    }
    return LevelPropagation(rules, checkpoint=checkpoint).double()


def inputs_of(num_nodes, relations, seed=1):
    torch.manual_seed(seed)
    state, x = torch.randn(num_nodes, DIM).double(), torch.randn(num_nodes, FEATURES).double()
    attr = torch.randn(len(relations["cell"][0]), ATTR).double()
    return [part.requires_grad_() for part in (state, x, attr)]


def naive(model, plan, relations, state, x, attr, teacher=None):
    rules = {n: (r.message, r.reduce, r.update, r.emit) for n, r in model.rules.items()}
    longest = plan.levels.level.tolist()
    lists = {n: (src.tolist(), dst.tolist()) for n, (src, dst) in relations.items()}
    return reference.propagate(longest, lists, rules, state, x, {"cell": attr}, teacher)


def gradients(loss, model, inputs):
    return torch.autograd.grad(loss, [*inputs, *model.parameters()])


def loss_of(state, emitted):
    weights = torch.linspace(-1, 2, state.numel(), dtype=state.dtype).view_as(state)
    return (state * weights).sum() + (
        emitted.sin() * torch.linspace(0, 1, len(emitted), dtype=state.dtype)[:, None]
    ).sum()


@pytest.mark.parametrize("how", ["sum", "mean", "max", "gated"])
@pytest.mark.parametrize("checkpoint", [True, False])
def test_states_emissions_and_gradients_are_the_references(how, checkpoint):
    for seed in range(3):
        num_nodes, relations = random_dag(seed)
        plan, model = plan_of(num_nodes, relations), model_of(how, checkpoint=checkpoint)
        inputs = inputs_of(num_nodes, relations)
        state, x, attr = inputs
        out = model(plan, state, x, {"cell": attr})
        states, emitted, fired = naive(model, plan, relations, state, x, attr)
        assert all(count == 1 for counts in fired.values() for count in counts)
        torch.testing.assert_close(out.state, states)
        torch.testing.assert_close(out.edges["cell"], emitted["cell"])
        mine = gradients(loss_of(out.state, out.edges["cell"]), model, inputs)
        theirs = gradients(loss_of(states, emitted["cell"]), model, inputs)
        for one, two in zip(mine, theirs, strict=True):
            torch.testing.assert_close(one, two)


@pytest.mark.parametrize("how", ["sum", "mean", "max", "gated"])
def test_teacher_forcing_is_the_references_and_the_sequence_where_teacher_and_pupil_agree(how):
    num_nodes, relations = random_dag(5)
    plan, model = plan_of(num_nodes, relations), model_of(how)
    inputs = inputs_of(num_nodes, relations)
    state, x, attr = inputs
    teacher = torch.randn(num_nodes, DIM).double().requires_grad_()
    out = model(plan, state, x, {"cell": attr}, teacher=teacher)
    states, emitted, _ = naive(model, plan, relations, state, x, attr, teacher)
    torch.testing.assert_close(out.state, states)
    mine = gradients(loss_of(out.state, out.edges["cell"]), model, [*inputs, teacher])
    theirs = gradients(loss_of(states, emitted["cell"]), model, [*inputs, teacher])
    for one, two in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, two)
    own = model(plan, state, x, {"cell": attr})
    again = model(plan, state, x, {"cell": attr}, teacher=own.state)
    torch.testing.assert_close(again.state, own.state)
    torch.testing.assert_close(again.edges["cell"], own.edges["cell"])


def test_dropout_draws_the_same_numbers_again():
    num_nodes, relations = random_dag(7)
    plan = plan_of(num_nodes, relations)
    inputs = inputs_of(num_nodes, relations)
    found = []
    for checkpoint in (True, False):
        model = model_of("gated", checkpoint=checkpoint, dropout=0.5)
        torch.manual_seed(11)
        out = model(plan, inputs[0], inputs[1], {"cell": inputs[2]})
        after = torch.rand(1)
        loss = loss_of(out.state, out.edges["cell"])
        found.append([out.state, *gradients(loss, model, inputs), after])
        assert torch.rand(1) != after  # the backward pass leaves the generator where it was
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two)


def test_same_bits_at_one_and_two_threads():
    rng = np.random.default_rng(0)
    src = rng.integers(0, 20_000, 60_000)
    dst = src // 5000 * 5000 + 5000 + rng.integers(0, 5000, 60_000)  # wide levels take the parallel kernels
    relations = {"net": (src[:20_000], dst[:20_000]), "cell": (src[20_000:], dst[20_000:])}
    plan = plan_of(25_000, relations)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            model = model_of("gated").float()
            inputs = [part.detach().float().requires_grad_() for part in inputs_of(25_000, relations)]
            out = model(plan, inputs[0], inputs[1], {"cell": inputs[2]})
            found.append([out.state, *gradients(loss_of(out.state, out.edges["cell"]), model, inputs)])
    finally:
        torch.set_num_threads(before)
    for one, two in zip(found[0][:4], found[1][:4], strict=True):  # sums over edges of parameters are torch's own
        assert torch.equal(one, two)


def test_edges_of_a_missing_type_are_named():
    num_nodes, relations = random_dag(2)
    store = GraphStore.from_typed({"pin": num_nodes}, {("pin", n, "pin"): ends for n, ends in relations.items()})
    half = topological_levels(store, edge_types=[("pin", "net", "pin")])
    with pytest.raises(InvalidInput, match=r"relation 'cell': edge \d+ from node \d+ \(level \d+\) .* every relation"):
        LevelPlan(half, relations)


def test_wrong_inputs_are_named():
    num_nodes, relations = random_dag(3)
    plan, model = plan_of(num_nodes, relations), model_of("sum")
    state, x, attr = inputs_of(num_nodes, relations)
    with pytest.raises(InvalidInput, match="x must have a row for each of 30 nodes"):
        model(plan, state, x[:-1])
    with pytest.raises(NotFound, match="edge_attr names"):
        model(plan, state, x, {"wire": attr})
    with pytest.raises(InvalidInput, match=r"edge_attr\['cell'\] must have"):
        model(plan, state, x, {"cell": attr[1:]})
    with pytest.raises(InvalidInput, match="teacher must have the shape"):
        model(plan, state, x, {"cell": attr}, teacher=torch.zeros(num_nodes, DIM + 1).double())
    with pytest.raises(NotFound, match="no relation 'via'"):
        LevelPropagation({"via": LevelRule(nn.Linear(1, 1))})(plan, state)
    with pytest.raises(InvalidType, match=r"message must be a torch\.nn\.Module; got function"):
        LevelRule(lambda h, *_: h)
    with pytest.raises(InvalidInput, match="one of sum, mean, max, gated; got 'min'"):
        LevelRule(nn.Linear(1, 1), reduce="min")
    wide = LevelPropagation({"net": LevelRule(Message(DIM + 1))}).double()
    with pytest.raises(InvalidInput, match=r"the rule for 'net' gave states of shape \(\d+, 4\)"):
        wide(plan, state, x)
    with pytest.raises(InvalidInput, match=r"names node 30, but nodes are 0\.\.29"):
        LevelPlan(plan.levels, {"net": ([30], [0])})


def test_a_second_backward_pass():
    num_nodes, relations = random_dag(4)
    plan = plan_of(num_nodes, relations)
    for checkpoint in (True, False):
        model = model_of("gated", checkpoint=checkpoint)
        state, x, attr = inputs_of(num_nodes, relations)
        loss = model(plan, state, x, {"cell": attr}).state.sum()
        first = torch.autograd.grad(loss, x, retain_graph=True)[0]
        if checkpoint:
            assert torch.equal(torch.autograd.grad(loss, x)[0], first)
        else:
            with pytest.raises(RuntimeError, match="needs checkpoint=True"):
                torch.autograd.grad(loss, x)


def test_names_that_torch_cannot_hold():
    with pytest.raises(InvalidInput, match=r"must not be empty or hold a dot; got 'a\.b'"):
        LevelPropagation({"a.b": LevelRule(nn.Linear(1, 1))})


def test_empty_graphs_and_relations():
    model = model_of("max")
    for num_nodes in (0, 4):
        relations = {"net": (np.empty(0, int), np.empty(0, int)), "cell": (np.empty(0, int), np.empty(0, int))}
        plan = plan_of(num_nodes, relations)
        state = torch.randn(num_nodes, DIM).double().requires_grad_()
        x, attr = torch.randn(num_nodes, FEATURES).double(), torch.zeros(0, ATTR).double()
        for teacher in (None, state.detach()):
            out = model(plan, state, x, {"cell": attr}, teacher=teacher)
            assert torch.equal(out.state, state)
            assert out.edges["cell"].shape == (0, 2)
        assert torch.equal(torch.autograd.grad(model(plan, state, x).state.sum(), state)[0], torch.ones_like(state))


def test_not_a_number_is_not_hidden_by_max():
    class Bare(nn.Module):
        def forward(self, state_src, x_src, x_dst, attr):
            return state_src

    plan = LevelPlan(
        topological_levels(GraphStore.from_edges([0, 1], [2, 2], directed=True)), {"edge": ([0, 1], [2, 2])}
    )
    for row in (0, 1):
        state = torch.zeros(3, 1)
        state[row] = torch.nan
        assert LevelPropagation({"edge": LevelRule(Bare(), reduce="max")})(plan, state).state[2].isnan()


def test_of_equal_gated_messages_the_first_takes_the_gradient():
    """Products were compared before they were rounded, so that an equal message could win."""
    store = GraphStore.from_edges([0, 1], [2, 2], num_nodes=3, directed=True)
    piece = LevelPlan.from_store(store).relation("edge").slice(-1, torch.device("cpu"))
    gates = torch.linspace(-2, 2, 101)
    for gate in gates:
        messages = torch.tensor([[float(gate), 0.0, -0.3], [float(gate), 0.0, -0.3]]).requires_grad_()
        segment_reduce(messages, piece, "gated")[:, 1].sum().backward()
        assert messages.grad[0, 2] > 0
        assert messages.grad[1, 2] == 0
