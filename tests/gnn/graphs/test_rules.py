"""Folds and rules of selection: what each takes, and what it says about itself."""

from __future__ import annotations

import numpy as np
import pytest

from nearhop.gnn.graphs import Curves, read_folds, stratified_folds
from nearhop.graphlib.errors import InvalidInput, InvalidType, NotFound, StoreCorrupt


def test_every_rule_by_hand():
    test = np.linspace(0, 1, 48).reshape(2, 24).copy()
    test[0, 3], test[1, 5] = 1.0, 0.2
    val = np.zeros((2, 24))
    val[0, [4, 7]], val[1, 23] = 0.5, 0.1
    curves = Curves(test, val)
    last = curves.select("last10")
    assert np.allclose(last.folds, test[:, 14:].mean(1))
    assert (last.mean, last.std) == (pytest.approx(last.folds.mean()), pytest.approx(last.folds.std()))
    best = curves.select("best_mean_curve")
    assert best.epochs.tolist() == [3, 3]
    assert np.allclose(best.folds, [1.0, test[1, 3]])
    each = curves.select("best_per_fold")
    assert each.epochs.tolist() == [3, 23]
    nested = curves.select("nested")
    assert nested.epochs.tolist() == [7, 23]  # the latest of several best
    assert np.allclose(nested.folds, [test[0, 7], test[1, 23]])
    assert [curves.select(rule).optimistic for rule in curves.rules()] == [False, True, True, False]
    assert str(each) == f"{100 * each.mean:.1f} ± {100 * each.std:.1f} (best_per_fold, 2 folds, optimistic)"
    assert Curves(test).rules() == ("last10", "best_mean_curve", "best_per_fold")
    assert each.mean >= best.mean
    with pytest.raises(InvalidInput, match="validation=True"):
        Curves(test).select("nested")
    with pytest.raises(InvalidInput, match="rule must be one of 'last10'"):
        curves.select("best")
    with pytest.raises(InvalidInput, match=r"val must have the shape \(2, 24\)"):
        Curves(test, val[:1])
    with pytest.raises(InvalidInput, match="num_folds, num_epochs"):
        Curves([])


def test_folds_are_those_of_scikit_learn():
    selection = pytest.importorskip("sklearn.model_selection")
    rng = np.random.default_rng(0)
    for labels in (rng.integers(0, 3, 120), np.repeat([4, 2], [63, 125]), rng.permutation(np.repeat([0, 1], [30, 60]))):
        for seed in (0, 5):
            theirs = selection.StratifiedKFold(10, shuffle=True, random_state=seed).split(labels, labels)
            for fold, (train, test) in zip(stratified_folds(labels, seed=seed), theirs, strict=True):
                assert np.array_equal(fold.train, train)
                assert np.array_equal(fold.test, test)


def test_bad_folds():
    with pytest.raises(InvalidInput, match="class 7 has 2 graphs, fewer than the 3 folds"):
        stratified_folds([0, 0, 0, 7, 7], num_folds=3)
    with pytest.raises(InvalidType, match="integers"):
        stratified_folds([0.5, 1.0])
    with pytest.raises(InvalidInput, match="class"):
        stratified_folds(np.array([], int))


def test_fold_files(tmp_path):
    def write(name, text):
        (tmp_path / name).write_text(text)

    with pytest.raises(NotFound, match=r"train_idx-1.txt is missing"):
        read_folds(tmp_path, 5)
    write("train_idx-1.txt", "0\n3\n4\n")
    write("test_idx-1.txt", "1\n2\n")
    write("train_idx-2.txt", "1 2")
    write("test_idx-2.txt", "4\n0\n3")
    folds = read_folds(tmp_path, 5)
    assert [(fold.train.tolist(), fold.test.tolist()) for fold in folds] == [([0, 3, 4], [1, 2]), ([1, 2], [0, 3, 4])]
    for text, said in (
        ("5", "must list different graphs, 0..4"),
        ("", "at least one"),
        ("3 3", "different"),
        ("-1", "other than numbers"),
        ("x", "other than numbers"),
        ("9" * 40, "other than numbers"),
        ("0 1", "both to train and to test"),
    ):
        write("test_idx-1.txt", text)
        with pytest.raises(StoreCorrupt, match=said):
            read_folds(tmp_path, 5)
    write("test_idx-1.txt", "1 2")
    (tmp_path / "train_idx-2.txt").unlink()
    with pytest.raises(NotFound, match=r"train_idx-2.txt is missing"):
        read_folds(tmp_path, 5)
