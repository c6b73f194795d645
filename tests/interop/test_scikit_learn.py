"""The scikit-learn estimator: its own conformance checks, and agreement with the exact transformer."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from nearhop.graphlib.errors import InvalidInput
from nearhop.tests.support import needs

pytestmark = needs("sklearn")


def estimators():
    from nearhop.ann import NeighborsTransformer

    return [NeighborsTransformer(), NeighborsTransformer(exact=True, mode="connectivity", metric="cosine")]


def pytest_generate_tests(metafunc):
    if "check" in metafunc.fixturenames:
        try:
            from sklearn.utils.estimator_checks import parametrize_with_checks
        except ImportError:
            metafunc.parametrize(("estimator", "check"), [])
            return
        mark = parametrize_with_checks(estimators())
        metafunc.parametrize(*mark.args, **mark.kwargs)


def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "sqeuclidean"])
@pytest.mark.parametrize("mode", ["distance", "connectivity"])
def test_the_graph_is_that_of_the_exact_transformer(metric, mode):
    from sklearn.datasets import load_digits
    from sklearn.neighbors import KNeighborsTransformer

    from nearhop.ann import NeighborsTransformer

    rows = load_digits().data[:600]
    theirs = KNeighborsTransformer(n_neighbors=7, mode=mode, metric=metric).fit(rows[:500])
    for exact in (True, False):
        ours = NeighborsTransformer(7, mode=mode, metric=metric, exact=exact).fit(rows[:500])
        a, b = ours.transform(rows[500:]), theirs.transform(rows[500:])
        assert a.shape == b.shape == (100, 500)
        assert a.nnz == b.nnz
        # equal distances may be resolved differently
        assert abs(a - b).sum() < 0.01 * b.sum()
        assert len(ours.get_feature_names_out()) == 500
    rows32 = rows.astype(np.float32)
    assert NeighborsTransformer().fit(rows32).transform(rows32[:3]).dtype == np.float32


def test_neighbours_without_oneself_even_among_copies():
    from nearhop.ann import NeighborsTransformer

    rows = np.repeat(np.eye(4), 30, axis=0)
    model = NeighborsTransformer(n_neighbors=5).fit(rows)
    distances, found = model.kneighbors()
    assert found.shape == (120, 5)
    assert (found != np.arange(120)[:, None]).all()
    assert distances.max() == 0
    assert model.kneighbors_graph(rows[:2], mode="distance").shape == (2, 120)
    assert model.kneighbors(rows[:2], 3, return_distance=False).shape == (2, 3)


def test_downstream_estimators_take_the_graph():
    from sklearn.datasets import load_digits
    from sklearn.model_selection import cross_val_score
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline

    from nearhop.ann import NeighborsTransformer

    data = load_digits()
    plain = KNeighborsClassifier(5)
    ours = make_pipeline(NeighborsTransformer(5), KNeighborsClassifier(5, metric="precomputed"))
    a = cross_val_score(ours, data.data, data.target, cv=3).mean()
    assert a == pytest.approx(cross_val_score(plain, data.data, data.target, cv=3).mean(), abs=0.003)


@pytest.mark.parametrize("exact", [True, False])
def test_a_pickled_model_answers_the_same(exact):
    from nearhop.ann import NeighborsTransformer

    rows = np.random.default_rng(0).normal(size=(300, 6))
    model = NeighborsTransformer(exact=exact, M=5).fit(rows)
    again = pickle.loads(pickle.dumps(model))  # noqa: S301
    assert abs(again.transform(rows) - model.transform(rows)).max() == 0
    assert pickle.loads(pickle.dumps(NeighborsTransformer(9))).n_neighbors == 9  # noqa: S301


def test_mistakes_are_named():
    from nearhop.ann import NeighborsTransformer

    rows = np.random.default_rng(0).normal(size=(20, 3))
    with pytest.raises(InvalidInput, match="metric must be one of 'euclidean'"):
        NeighborsTransformer(metric="taxi").fit(rows)
    with pytest.raises(InvalidInput, match="mode must be 'distance' or 'connectivity'"):
        NeighborsTransformer(mode="graph").fit(rows)
    model = NeighborsTransformer(20).fit(rows)
    with pytest.raises(ValueError, match="Expected n_neighbors <= n_samples_fit, but n_neighbors = 21"):
        model.transform(rows)
    with pytest.raises(InvalidInput, match="n_neighbors must be an integer >= 1; got 0"):
        model.kneighbors(rows, 0)
