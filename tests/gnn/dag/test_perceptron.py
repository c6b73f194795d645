"""Passes compiled for perceptrons against the same networks as modules that the library does not know."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from nearhop.gnn.dag import EdgePerceptron, LevelPlan, LevelPropagation, LevelRule, NodePerceptron, fused
from nearhop.gnn.dag.perceptron import ACTIVATIONS
from nearhop.graphlib.errors import InvalidInput
from nearhop.tests.gnn.dag.test_propagation import ATTR, DIM, FEATURES, gradients, random_dag
from nearhop.tests.reference import dag as reference

READS = {"state_src": DIM, "attr": ATTR, "x_dst": FEATURES, "x_src": FEATURES}


class Unknown(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, *given):
        return torch.atleast_2d(self.network(*given))


def model_of(how, *, activation="tanh", widths=(8, 6), updated=True, reads=READS, seed=0):
    torch.manual_seed(seed)
    made = DIM if not updated else 5 if how != "gated" else 6
    message = EdgePerceptron(reads, [*widths, made + (how == "gated")], activation=activation)
    update = NodePerceptron({"reduced": made, "x_dst": FEATURES}, [7, DIM], activation=activation, last="tanh")
    return LevelPropagation({"edge": LevelRule(message, reduce=how, update=update if updated else None)}).double()


def plain(model):
    rule = model.rules["edge"]
    update = None if rule.update is None else Unknown(rule.update)
    return LevelPropagation({"edge": LevelRule(Unknown(rule.message), reduce=rule.reduce, update=update)})


def case(seed, **size):
    num_nodes, relations = random_dag(seed, **size)
    ends = tuple(np.concatenate([relations[name][i] for name in ("net", "cell")]) for i in (0, 1))
    torch.manual_seed(seed)
    shapes = ((num_nodes, DIM), (num_nodes, FEATURES), (ends[0].size, ATTR))
    return num_nodes, ends, [torch.randn(shape).double().requires_grad_() for shape in shapes]


def plan_of(num_nodes, ends):
    from nearhop.graphlib.sparse import topological_levels
    from nearhop.graphlib.store import GraphStore

    store = GraphStore.from_edges(*ends, num_nodes=num_nodes, directed=True)
    return LevelPlan(topological_levels(store), {"edge": ends})


def run(model, plan, inputs, attr=True):
    state, x, by_edge = inputs
    out = model(plan, state, x, {"edge": by_edge} if attr else None).state
    weights = torch.linspace(-1, 2, out.numel(), dtype=out.dtype).view_as(out)
    leaves = inputs if attr else inputs[:2]
    return out, gradients((out * weights).sum(), model, leaves)


@pytest.fixture
def compiled(monkeypatch):
    """How many passes were compiled ones."""
    calls, launch = [], fused._launch
    monkeypatch.setattr(fused, "_launch", lambda kernel, *rest: (calls.append(kernel), launch(kernel, *rest)))
    return calls


@pytest.mark.parametrize("how", ["sum", "mean", "max", "gated"])
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_states_and_gradients_are_those_of_the_modules_and_of_the_reference(how, activation, compiled):
    if how == "gated" and activation == "none":
        pytest.skip("as with relu")
    num_nodes, ends, inputs = case(1)
    plan, model = plan_of(num_nodes, ends), model_of(how, activation=activation)
    out, found = run(model, plan, inputs)
    assert len(compiled) == 2
    other, expected = run(plain(model), plan, inputs)
    assert len(compiled) == 2
    torch.testing.assert_close(out, other)
    for one, two in zip(found, expected, strict=True):
        torch.testing.assert_close(one, two)
    rule = model.rules["edge"]
    rules = {"edge": (rule.message, how, rule.update, 0)}
    lists = {"edge": (ends[0].tolist(), ends[1].tolist())}
    states = reference.propagate(plan.levels.level.tolist(), lists, rules, inputs[0], inputs[1], {"edge": inputs[2]})[0]
    torch.testing.assert_close(out, states)


@pytest.mark.parametrize("how", ["sum", "max"])
@pytest.mark.parametrize("widths", [(), (33,), (4, 9, 20)])
def test_any_number_of_layers_and_no_update(how, widths, compiled):
    num_nodes, ends, inputs = case(2)
    model = model_of(how, widths=widths, updated=False, reads={"x_src": FEATURES, "state_src": DIM})
    out, found = run(model, plan_of(num_nodes, ends), inputs, attr=False)
    assert compiled
    other, expected = run(plain(model), plan_of(num_nodes, ends), inputs, attr=False)
    torch.testing.assert_close(out, other)
    for one, two in zip(found, expected, strict=True):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize("activation", ["relu", "elu", "tanh"])
def test_single_precision_and_large_values(activation):
    num_nodes, ends, inputs = case(3)
    inputs = [(8 * part.detach()).float().requires_grad_() for part in inputs]
    model, plan = model_of("gated", activation=activation).float(), plan_of(num_nodes, ends)
    out, found = run(model, plan, inputs)
    other, expected = run(plain(model), plan, inputs)
    torch.testing.assert_close(out, other, rtol=1e-5, atol=1e-5)
    for one, two in zip(found, expected, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4 * float(two.abs().max()))


@pytest.mark.parametrize("slope", [-0.5, 0.0, 1.5])
@pytest.mark.parametrize("kind", [nn.LeakyReLU, nn.ELU])
def test_slopes_of_any_sign_have_the_gradients_of_torch(slope, kind, compiled):
    """Below zero a negative slope gives positive numbers, from which the derivative cannot be told."""
    num_nodes, ends, (state, *_) = case(5)

    class Message(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.activation = nn.Linear(DIM, DIM).double(), kind(slope)

        def forward(self, state_src, x_src, x_dst, attr):
            return self.activation(self.linear(state_src))

    torch.manual_seed(0)
    model = LevelPropagation({"edge": LevelRule(Message())})
    found = []
    for one in (model, plain(model)):
        given = state.detach().requires_grad_()
        one(plan_of(num_nodes, ends), given).state.sin().sum().backward()
        found.append([given.grad, *(parameter.grad.clone() for parameter in one.parameters())])
        one.zero_grad()
    assert bool(compiled) == (slope >= 0)
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b)


def test_tanh_of_tiny_huge_and_missing_numbers():
    plan = plan_of(2, (np.array([0]), np.array([1])))
    message = EdgePerceptron({"state_src": 1}, [1], last="tanh")
    nn.init.ones_(next(message.parameters()))
    nn.init.zeros_(list(message.parameters())[1])
    model = LevelPropagation({"edge": LevelRule(message)})
    for value in (0.0, 1e-30, -1e-6, 1e-3, -0.5, 3.0, -9.0, 50.0, float("inf"), float("-inf"), float("nan")):
        state = torch.tensor([[value], [0.0]])
        found = model(plan, state).state[1]
        torch.testing.assert_close(found, torch.tanh(state[0]), rtol=3e-7, atol=0, equal_nan=True)


def test_wide_levels_give_the_same_bits_at_any_thread_count():
    rng = np.random.default_rng(0)
    src = rng.integers(0, 3000, 9000)
    ends = (src, src // 1000 * 1000 + 1000 + rng.integers(0, 1000, 9000))
    plan, model, before, found = plan_of(4000, ends), model_of("gated"), torch.get_num_threads(), []
    torch.manual_seed(0)
    inputs = [torch.randn(shape).double().requires_grad_() for shape in ((4000, DIM), (4000, FEATURES), (9000, ATTR))]
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            out, grads = run(model, plan, inputs)
            found.append([out, *grads])
    finally:
        torch.set_num_threads(before)
    for one, two in zip(*found, strict=True):
        assert torch.equal(one, two)
    for one, two in zip(grads, run(plain(model), plan, inputs)[1], strict=True):
        torch.testing.assert_close(one, two)


def test_what_does_not_fit_goes_the_other_way(compiled):
    num_nodes, ends, inputs = case(4)
    plan = plan_of(num_nodes, ends)
    hooked = model_of("sum")
    seen = []
    hooked.rules["edge"].message.register_forward_hook(lambda *_: seen.append(1))
    run(hooked, plan, inputs)
    assert seen
    assert not compiled
    with pytest.raises(InvalidInput, match=r"EdgePerceptron: attr must be 2 wide; got none"):
        model_of("sum")(plan, inputs[0], inputs[1])
    wrong = LevelPropagation({"edge": LevelRule(EdgePerceptron({"state_src": DIM}, [DIM + 1]).double())})
    with pytest.raises(InvalidInput, match=r"the rule for 'edge' gave states of shape"):
        wrong(plan, inputs[0])
    with pytest.raises(InvalidInput, match="reads maps some of state_src, x_src, x_dst, attr, state_src among them"):
        EdgePerceptron({"x_src": 3}, [4])
    with pytest.raises(InvalidInput, match=r"last must be one of none, relu, .*; got 'mish'"):
        NodePerceptron({"reduced": 3}, [4], last="mish")


WORDS = ("functions", "module", "other slope", "norm", "residual", "gates", "dense", "plain weights", "given alone")
"""Ways to write a message that are recognised."""


class Written(nn.Module):
    """A message as one would write it: `how` says in which words, and what stands in the way of a compiled pass."""

    def __init__(self, how):
        super().__init__()
        self.how, self.first, self.second = how, nn.Linear(DIM + FEATURES + ATTR, 8), nn.Linear(8, DIM)
        kinds = {"module": nn.ELU(), "other slope": nn.LeakyReLU(0.1), "norm": nn.LayerNorm(8), "power": nn.Mish()}
        self.layers = nn.Sequential(self.first, kinds.get(how, nn.Identity()), nn.Dropout(0.5), self.second)
        if how == "gates":
            self.wide = nn.Linear(2 * DIM, 2 * DIM, bias=False)
        if how == "plain weights":
            self.second, self.free = nn.Identity(), nn.Parameter(torch.randn(DIM, 8))
            self.layers = nn.Identity()
        if how == "given alone":
            self.first = self.second = self.layers = nn.Identity()

    def forward(self, state_src, x_src, x_dst, attr):
        h = torch.cat([attr, x_dst, state_src], dim=-1)
        if self.how == "functions":
            return self.second(nn.functional.leaky_relu(self.first(h), 0.2)).sigmoid()
        if self.how == "branch" and (h > 0).all():
            return self.second(self.first(h))
        if self.how == "residual":
            deep = nn.functional.gelu(self.first(h))
            return state_src - 0.5 * self.second(deep + nn.functional.softplus(deep))
        if self.how == "gates":
            gate, new = self.wide(torch.cat([self.second(self.first(h).relu()), state_src], 1)).chunk(2, 1)
            return gate.sigmoid() * nn.functional.silu(new) + (1 - gate) * state_src
        if self.how == "dense":
            deep = self.first(nn.functional.dropout(h, 0.5, self.training))
            return self.second(torch.tanh(deep) * deep)[:, :DIM] / 2
        if self.how == "plain weights":
            return nn.functional.linear(nn.functional.gelu(self.first(h), approximate="tanh"), self.free)
        if self.how == "given alone":
            return -state_src + 1
        if self.how == "random":
            return self.layers(h) + torch.rand(DIM).double()
        if self.how == "rows":
            return self.layers(h) * (1 if len(h.shape) == h.shape[0] else 2)
        return self.second(self.first(h).tanh()) + attr[:, :1] if self.how == "sum" else self.layers(h)


class Bounded(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(DIM, DIM)

    def forward(self, reduced, x_dst):
        return torch.tanh(self.layer(reduced))


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(FEATURES, DIM)

    def forward(self, reduced, x_dst):
        return self.cell(x_dst, reduced)


@pytest.mark.parametrize("how", [*WORDS, "power", "branch", "sum", "rows"])
def test_modules_written_in_torch_are_recognised(how, compiled):
    num_nodes, ends, inputs = case(6)
    plan, written = plan_of(num_nodes, ends), Written(how).double().eval()
    update = Gated().double() if how in ("gates", "given alone") else Bounded().double()
    model = LevelPropagation({"edge": LevelRule(written, reduce="mean", update=update)})
    out, found = run(model, plan, inputs)
    assert len(compiled) == (2 if how in WORDS else 0)
    expected = run(plain(model), plan, inputs)
    torch.testing.assert_close(out, expected[0])
    for one, two in zip(found, expected[1], strict=True):
        torch.testing.assert_close(one, two)
    compiled.clear()
    with torch.no_grad():
        update.forward = lambda reduced, x_dst: torch.sin(reduced)  # not what the class says
        model(plan, inputs[0], inputs[1], {"edge": inputs[2]})
        assert not compiled
        del update.forward
        written.train()
        model(plan, inputs[0], inputs[1], {"edge": inputs[2]})
    dropping = how in ("module", "other slope", "norm", "dense")
    assert len(compiled) == (how in WORDS and not dropping)


def test_random_numbers_are_those_of_every_level(compiled):
    num_nodes, ends, inputs = case(6)
    plan, model = plan_of(num_nodes, ends), LevelPropagation({"edge": LevelRule(Written("random").double().eval())})
    drawn = []
    for network in (model, plain(model)):
        torch.manual_seed(0)
        drawn.append(network(plan, inputs[0], inputs[1], {"edge": inputs[2]}).state)
    assert torch.equal(*drawn)
    assert not compiled


class Counted(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(DIM)

    def forward(self, state_src, x_src, x_dst, attr):
        return self.norm(state_src)


def test_statistics_are_those_of_every_level(compiled):
    ends = (np.array([0, 1, 2, 3]), np.array([2, 2, 4, 4]))  # levels of two edges: batches that have a deviation
    message = Counted().double()
    with torch.no_grad():
        LevelPropagation({"edge": LevelRule(message)})(plan_of(5, ends), torch.randn(5, DIM).double())
    assert int(message.norm.num_batches_tracked) == 2
    assert not compiled


class Rectified(nn.Module):
    """What reads a value before and after an activation."""

    def __init__(self, inplace, passed):
        super().__init__()
        self.layer, self.act, self.passed = nn.Linear(DIM, DIM), nn.ReLU(inplace=inplace), passed

    def forward(self, state_src, x_src, x_dst, attr):
        h = self.layer(state_src)
        other = nn.functional.dropout(h, 0.5, training=False) if self.passed else h
        return self.act(other) * 3 + h


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("passed", [False, True])
def test_values_that_others_read_stay(inplace, passed, compiled):
    num_nodes, ends, inputs = case(6)
    model = LevelPropagation({"edge": LevelRule(Rectified(inplace, passed).double())})
    with torch.no_grad():
        out = model(plan_of(num_nodes, ends), inputs[0]).state
        torch.testing.assert_close(out, plain(model)(plan_of(num_nodes, ends), inputs[0]).state)
    assert len(compiled) == 1


def test_frozen_parameters_and_a_second_backward_pass():
    num_nodes, ends, inputs = case(5)
    plan, model = plan_of(num_nodes, ends), model_of("max")
    model.rules["edge"].update.requires_grad_(False)
    out = model(plan, inputs[0], inputs[1], {"edge": inputs[2]}).state.square().sum()
    wanted = [inputs[0], *model.rules["edge"].message.parameters()]
    first = torch.autograd.grad(out, wanted, retain_graph=True)
    for one, two in zip(first, torch.autograd.grad(out, wanted), strict=True):
        assert torch.equal(one, two)
