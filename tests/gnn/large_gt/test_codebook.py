from __future__ import annotations

import numpy as np
import pytest
import torch

from nearhop.gnn.large_gt import Codebook, GlobalAttention, LargeGTConfig
from nearhop.graphlib.errors import InvalidInput


def book(number=5, dim=4, nodes=30, **options):
    return Codebook(number, dim, nodes, **{"momentum": 0.01, "assigned": False, "seed": 0, **options})


def reference_update(state, vectors, momentum=0.01):
    """The sheet's formulas: batch norm of the vectors, nearest centroid, moving averages, Laplace smoothing."""
    mean, variance = vectors.mean(0), vectors.var(0)
    moved = (vectors - mean) / np.sqrt(variance + 1e-5)
    nearest = ((moved[:, None] - state["centroids"]) ** 2).sum(-1).argmin(1)
    number = len(state["counts"])
    counts = (1 - momentum) * state["counts"] + momentum * np.bincount(nearest, minlength=number)
    sums = (1 - momentum) * state["sums"]
    np.add.at(sums, nearest, momentum * moved)
    smooth = (counts + 1e-5) / (counts.sum() + number * 1e-5) * counts.sum()
    return {"counts": counts, "sums": sums, "centroids": sums / smooth[:, None]}, nearest


def test_updates_are_moving_averages_of_batches():
    made = book().train()
    rng = np.random.default_rng(0)
    state = {name: getattr(made, name).numpy().astype(np.float64) for name in ("counts", "sums", "centroids")}
    mean, variance = np.zeros(4), np.ones(4)
    for _ in range(20):
        vectors = rng.normal(2, 3, (12, 4))
        nodes = rng.permutation(30)[:12]
        made.update(torch.tensor(vectors, dtype=torch.float32), torch.from_numpy(nodes))
        state, nearest = reference_update(state, vectors)
        mean, variance = 0.9 * mean + 0.1 * vectors.mean(0), 0.9 * variance + 0.1 * vectors.var(0, ddof=1)
        assert (made.assignment[nodes].numpy() == nearest).all()
    for name, values in state.items():
        np.testing.assert_allclose(getattr(made, name).numpy(), values, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(
        made.rows().numpy(), state["centroids"] * np.sqrt(variance + 1e-5) + mean, rtol=1e-3, atol=1e-3
    )


def test_only_assigned_nodes_count():
    """The released counts are mostly of nodes that no batch updates; ours count what was assigned."""
    vectors = torch.randn(6, 4)
    for assigned, total in ((False, 6), (True, 1000)):
        made = book(nodes=1000, assigned=assigned).train()
        assert int(made.node_counts.sum()) == (1000 if assigned else 0)
        made.update(vectors, torch.arange(6))
        made.update(vectors, torch.arange(6))
        assert int(made.node_counts.sum()) == total
        known = made.assignment[made.assignment >= 0].long()
        assert torch.equal(made.node_counts, torch.bincount(known, minlength=5))


def test_a_node_that_a_batch_names_twice_counts_once():
    made = book().train()
    torch.manual_seed(0)
    for nodes in ([3, 3, 7, 3], [7, 8, 8, 3]):
        made.update(torch.randn(4, 4), torch.tensor(nodes))
        known = made.assignment[made.assignment >= 0].long()
        assert made.node_counts.tolist() == torch.bincount(known, minlength=5).tolist()
    made.fit(torch.randn(3, 4), torch.tensor([1, 1, 2]))
    assert made.node_counts.sum() == (made.assignment >= 0).sum() == 5


def test_empty_centroids_have_no_say_and_all_empty_is_even():
    made = book()
    assert made.log_counts().tolist() == [0.0] * 5  # no node is assigned yet: no weights, and no NaN
    made.node_counts[2] = 4
    assert made.log_counts().tolist() == [-np.inf, -np.inf, pytest.approx(np.log(4)), -np.inf, -np.inf]
    attend = GlobalAttention(LargeGTConfig(hidden=8, num_centroids=5, global_dim=2), 30).eval()
    x, position, nodes = torch.randn(7, 8), torch.randn(7, 2), torch.arange(7)
    assert torch.isfinite(attend(x, position, nodes)).all()
    attend.codebook.node_counts[3] = 9
    only = attend.value(attend.codebook.rows()[3:4, :2]).expand(7, -1)
    torch.testing.assert_close(attend(x, position, nodes), only)


def test_attention_is_the_softmax_over_centroids_and_their_counts():
    attend = GlobalAttention(LargeGTConfig(hidden=8, heads=2, num_centroids=5, global_dim=2), 30).eval()
    attend.codebook.node_counts.copy_(torch.tensor([1, 0, 3, 2, 9]))
    x, position = torch.randn(7, 8), torch.randn(7, 2)
    mu = attend.codebook.rows()
    q = attend.query(torch.cat([attend.project(x), position], 1)).view(7, 2, 8)
    k, v = attend.key(mu).view(5, 2, 8), attend.value(mu[:, :2]).view(5, 2, 8)
    scores = torch.einsum("bhd,chd->bhc", q, k) / 8**0.5 + torch.log(torch.tensor([1.0, 0, 3, 2, 9]))
    wanted = torch.einsum("bhc,chd->bhd", torch.softmax(scores, -1), v).reshape(7, 16)
    torch.testing.assert_close(attend(x, position, torch.arange(7)), wanted, rtol=1e-5, atol=1e-5)


def test_many_centroids_need_wider_codes():
    assert book(number=32767, dim=1).assignment.dtype == torch.int16
    assert book(number=32768, dim=1).assignment.dtype == torch.int32


def test_it_begins_with_the_librarys_k_means():
    torch.manual_seed(0)
    centres = 20 * torch.randn(5, 4)
    vectors = (centres[torch.arange(200) % 5] + 0.1 * torch.randn(200, 4)).float()
    made = book(nodes=300)
    made.fit(vectors, torch.arange(200))
    ours, best = made.distortion(vectors)
    assert ours == pytest.approx(best, rel=1e-3)
    assert int(made.node_counts.sum()) == 200
    assert float(made.counts.sum()) == pytest.approx(5)
    random, best = book(nodes=300).distortion(vectors)
    assert random > 5 * best
    few = book(number=50, nodes=300)
    few.fit(vectors[:20], torch.arange(20))
    assert few.distortion(vectors[:20])[0] < 1e-6
    with pytest.raises(InvalidInput, match="at least one node"):
        made.fit(vectors[:0], torch.arange(0))


def test_a_batch_of_one_is_normalised_by_what_went_before():
    made = book().train()
    made.update(torch.randn(1, 4), torch.tensor([3]))
    assert torch.isfinite(made.centroids).all()
    assert int(made.node_counts.sum()) == 1
