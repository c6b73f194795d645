from __future__ import annotations

import numpy as np
import pytest
import torch

from nearhop.gnn.large_gt import LocalAttention
from nearhop.gnn.large_gt.fused import Drop, cut, local_attention
from nearhop.gnn.threads import steady
from nearhop.graphlib.errors import InvalidInput


def module(width=16, heads=3, **options):
    torch.manual_seed(0)
    made = LocalAttention(width, heads, **options)
    for part in made.parameters():
        torch.nn.init.normal_(part, 0, 0.3)
    return made


def given(count=21, places=7, rows=50, width=16, kinds=3, seed=1):
    torch.manual_seed(seed)
    table = torch.randn(kinds, rows, width).relu().requires_grad_()
    return table, torch.randint(0, rows, (count, places))


def gradients(made, table, index, **options):
    made.zero_grad()
    table.grad = None
    out = made(table, index, **options)
    (out * torch.sin(torch.arange(out.numel()).view_as(out).float())).sum().backward()
    return out.detach(), {name: part.grad.clone() for name, part in [*made.named_parameters(), ("table", table)]}


@pytest.mark.parametrize("count", [1, cut(21)[0] + 1, cut(21)[1] + 1, 100])
@pytest.mark.parametrize(("heads", "kinds"), [(1, 3), (3, 1), (2, 3)])
def test_the_fused_way_is_that_of_the_formulas(count, heads, kinds):
    made = module(heads=heads).eval()
    table, index = given(count, kinds=kinds)
    wanted, of_formulas = gradients(made, table, index, plain=True)
    found, fused = gradients(made, table, index)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    for name, grad in of_formulas.items():
        torch.testing.assert_close(fused[name], grad, rtol=1e-4, atol=1e-5, msg=lambda m, name=name: f"{name}: {m}")
    with torch.no_grad():
        torch.testing.assert_close(made(table, index), wanted, rtol=1e-5, atol=1e-5)


def test_a_set_of_one_token_is_read_as_it_is():
    made = module().eval()
    table, index = given(places=1, kinds=1)
    wanted, of_formulas = gradients(made, table, index, plain=True)
    found, fused = gradients(made, table, index)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(fused["skip.weight"], of_formulas["skip.weight"], rtol=1e-4, atol=1e-5)


def test_an_index_outside_the_table_is_refused():
    table, index = given()
    for wrong in (-1, 50):
        index[3, 2] = wrong
        with pytest.raises(InvalidInput, match=r"but the table has rows 0\.\.49"):
            module()(table, index)


def test_the_readout_and_keys_as_the_paper_writes_them():
    """softmax over [z_0 ; z_j] and a bias of the keys change nothing: what they add is the same for all j."""
    made = module(heads=2).eval()
    table, index = given()
    count, tokens, wide = 21, 21, 32
    with torch.no_grad():
        r = table[:, index].transpose(0, 1).reshape(count, tokens, -1)
        z = made.lin(made.project(r))
        n = made.norm(z)
        bias = torch.randn(wide)
        q, k, v = (
            part.view(count, tokens, 2, 16).transpose(1, 2)
            for part in (made.query(n), made.key(n) + bias, made.value(n))
        )
        attended = (torch.softmax(q @ k.transpose(2, 3) / 4, -1) @ v).transpose(1, 2).reshape(count, tokens, wide)
        y = made.out_norm(made.skip(z) + made.output(attended))
        both = torch.cat([y[:, :1].expand(-1, tokens - 1, -1), y[:, 1:]], -1)
        weight = torch.cat([torch.randn(wide), made.readout.weight[0]])
        shares = torch.softmax(both @ weight + 0.7, 1)
        wanted = y[:, 0] + (shares[..., None] * y[:, 1:]).sum(1)
        torch.testing.assert_close(made(table, index), wanted, rtol=1e-5, atol=1e-5)


def test_the_same_bits_at_any_thread_count():
    made = module().train()
    table, index = given(count=90)
    found = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            torch.manual_seed(5)
            with steady():
                found.append(gradients(made, table, index))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0][0], found[1][0])
    for name in found[0][1]:
        assert torch.equal(found[0][1][name], found[1][1][name]), name


def test_a_node_does_not_see_its_batch():
    made = module().eval()
    table, index = given(count=40)
    with torch.no_grad():
        whole = made(table, index)
        parts = torch.cat([made(table, part) for part in index.split(7)])
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-6)


def test_the_order_of_tokens_does_not_count():
    made = module().eval()
    table, index = given()
    order = torch.randperm(6) + 1
    with torch.no_grad():
        mixed = made(table, torch.cat([index[:, :1], index[:, order]], 1))
        torch.testing.assert_close(mixed, made(table, index), rtol=1e-4, atol=1e-5)


def test_dropout_keeps_means_and_differs_by_token_and_step():
    made = module(token_dropout=0.5, dropout=0.0).train()
    table, index = torch.ones(1, 4, 16), torch.zeros(64, 5, dtype=torch.int64)
    merged = made.merged()
    torch.manual_seed(0)
    first = local_attention(table, index, merged, Drop.of(0.5, 0.0))
    again = local_attention(table, index, merged, Drop.of(0.5, 0.0))
    assert not torch.equal(first, again)
    assert (first[0] != first[1]).any()  # copies of one row are dropped each by themselves
    torch.manual_seed(0)
    assert torch.equal(local_attention(table, index, merged, Drop.of(0.5, 0.0)), first)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.9])
def test_dropped_shares_are_as_asked(share):
    from nearhop.gnn.large_gt import fused_cpu as kernels

    drop = Drop(12345, round((1 - share) * 65536), 0)
    rows = np.ones((500, 30), np.float32)
    kernels.drop_rows(rows, 0, drop.key, drop.token, np.float32(65536 / drop.token))
    assert abs((rows == 0).mean() - share) < 0.015
    assert abs(rows.mean() - 1) < 0.05
    table = np.ones((1, 3, 30), np.float32)
    taken = np.empty((500, 30), np.float32)
    kernels.take_tokens(
        table, np.zeros((100, 5), np.int64), 0, drop.key, drop.token, np.float32(65536 / drop.token), taken
    )
    assert (taken == rows).all()


def test_gradients_with_dropout_are_those_of_the_function():
    """Finite differences along random directions, with the bits of dropout held."""
    made = module(width=8, heads=2).train()
    table, index = given(count=9, width=8)
    merged = made.merged()
    drop = Drop(77, 32768, 45875)

    def value(shift, direction):
        moved = [part + shift * d for part, d in zip(merged, direction, strict=True)]
        with torch.no_grad():
            return float(local_attention(table.detach(), index, type(merged)(*moved), drop).double().sin().sum())

    parts = type(merged)(*(part.detach().requires_grad_() for part in merged))
    local_attention(table, index, parts, drop).sin().sum().backward()
    torch.manual_seed(3)
    for name in merged._fields:
        direction = [
            torch.randn_like(p) if n == name else torch.zeros_like(p)
            for n, p in zip(merged._fields, merged, strict=True)
        ]
        slope = (value(1e-3, direction) - value(-1e-3, direction)) / 2e-3
        exact = float((getattr(parts, name).grad * direction[merged._fields.index(name)]).sum())
        assert slope == pytest.approx(exact, rel=0.02, abs=0.05), name
