"""The adapter for the ann-benchmarks harness, driven as that harness drives it, on a small file in its layout."""

from __future__ import annotations

import importlib
import itertools
import shutil
import sys

import numpy as np
import pytest

from nearhop.ann import Exact
from nearhop.graphlib.vector_files import hdf5_attributes, read_hdf5
from nearhop.tests.support import ROOT, needs

pytestmark = [needs("h5py"), needs("yaml")]
ADAPTER = ROOT / "benchmarks" / "ann_benchmarks"
# The base class of the harness, reduced to its contract: every method it calls, with what it does by default.
BASE = """
class BaseANN:
    def done(self):
        pass

    def get_memory_usage(self):
        return None

    def fit(self, X):
        raise NotImplementedError

    def query(self, q, n):
        raise NotImplementedError

    def batch_query(self, X, n):
        raise NotImplementedError

    def get_batch_results(self):
        raise NotImplementedError

    def get_additional(self):
        return {}

    def __str__(self):
        return self.name
"""


@pytest.fixture
def harness(tmp_path, monkeypatch):
    """A folder laid out as the harness, with the adapter in its place; imports a module of it by name."""
    algorithms = tmp_path / "ann_benchmarks" / "algorithms"
    shutil.copytree(ADAPTER, algorithms / "nearhop")
    (algorithms / "base").mkdir()
    (algorithms / "base" / "module.py").write_text(BASE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield lambda name: importlib.import_module(f"{name}.module")
    for name in [name for name in sys.modules if name.partition(".")[0] == "ann_benchmarks"]:
        del sys.modules[name]


@pytest.fixture(params=["euclidean", "angular"])
def dataset(request, tmp_path):
    import h5py

    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(900, 12)).astype(np.float32), rng.normal(size=(25, 12)).astype(np.float32)
    truth = Exact({"euclidean": "l2", "angular": "cosine"}[request.param]).add(train).search(test, 100)
    path = tmp_path / "small.hdf5"
    with h5py.File(path, "w") as file:
        file.attrs.update(type="dense", distance=request.param, dimension=12, point_type="float")
        file["train"], file["test"], file["neighbors"] = train, test, truth.ids
        near = np.sqrt(truth.distances) if request.param == "euclidean" else truth.distances
        file["distances"] = near
    return path


def expanded(values):
    """The Cartesian product of the lists in a mapping, or in a list of values."""
    if isinstance(values, dict):
        pairs = [[(k, v) for v in (vs if isinstance(vs, list) else [vs])] for k, vs in values.items()]
        return [dict(chosen) for chosen in itertools.product(*pairs)]
    return [list(chosen) for chosen in itertools.product(*(v if isinstance(v, list) else [v] for v in values))]


def definitions(metric):
    """(module, constructor, arguments, query arguments) of every run, as the harness reads config.yml."""
    import yaml

    config = yaml.safe_load((ADAPTER / "config.yml").read_text())
    for algorithm in config["float"]["any"]:
        assert not algorithm["disabled"]
        assert {"docker_tag", "module", "constructor", "base_args", "name"} <= set(algorithm)
        for group in algorithm["run_groups"].values():
            arguments = expanded([expanded(g) if isinstance(g, dict) else g for g in group["arg_groups"]])
            base = [metric if value == "@metric" else value for value in algorithm["base_args"]]
            for chosen in arguments:
                yield algorithm["module"], algorithm["constructor"], base + chosen, expanded(group["query_args"])


def distances(metric, query, rows):
    if metric == "euclidean":
        return np.sqrt(((rows - query) ** 2).sum(axis=1))
    return 1 - rows @ query / (np.linalg.norm(rows, axis=1) * np.linalg.norm(query))


def recall(metric, train, test, true, found, count):
    """As the harness scores: an id counts when its distance is at most the true k-th and a little."""
    hits = 0
    for query, near, ids in zip(test, true, found, strict=True):
        assert len(set(map(int, ids))) == len(ids) <= count
        hits += (distances(metric, query, train[np.asarray(ids)]) <= near[count - 1] + 1e-3).sum()
    return hits / (len(test) * count)


def test_the_adapter_keeps_the_harnesss_contract(harness, dataset):
    metric = hdf5_attributes(dataset)["distance"]
    train, test, true = (read_hdf5(dataset, name) for name in ("train", "test", "distances"))
    runs = list(definitions(metric))
    assert {run[1] for run in runs} == {"NearhopHNSW", "NearhopIVF"}
    assert len(runs) == 6 + 4
    for constructor in ("NearhopHNSW", "NearhopIVF"):
        module, name, arguments, efforts = next(run for run in runs if run[1] == constructor)
        algorithm = getattr(harness(module), name)(*arguments)
        algorithm.fit(train)
        shares = []
        for effort in (efforts[0], efforts[-1]):
            algorithm.set_query_arguments(*effort)
            assert str(effort[0]) in str(algorithm)
            one_by_one = [algorithm.query(query, 10) for query in test]
            shares.append(recall(metric, train, test, true, one_by_one, 10))
            algorithm.batch_query(test, 10)
            batch = algorithm.get_batch_results()
            assert [list(map(int, ids)) for ids in batch] == [list(map(int, ids)) for ids in one_by_one]
        assert shares[0] < shares[1]
        assert shares[1] > 0.99
        assert all(isinstance(value, int) for value in algorithm.get_additional().values())
        algorithm.done()
    names = {str(getattr(harness(run[0]), run[1])(*run[2])) for run in runs}
    assert len(names) == len(runs)  # a result file per run
