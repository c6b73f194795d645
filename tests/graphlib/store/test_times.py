"""Moments of any unit are converted to the unit of the store's times, exactly, or refused; never cast."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

import nearhop
from nearhop.gnn.temporal.splits import Events
from nearhop.graphlib.errors import InvalidInput
from nearhop.graphlib.store.times import float_times
from nearhop.sampling import NCache, NeighborSampler, Temporal, TypedNeighborSampler, temporal_walks
from nearhop.sampling.negatives.negatives import historical_negatives
from nearhop.tests.support import needs

DAYS = np.array(["2020-01-01", "2020-01-02", "2020-01-09"], "M8[D]")
UNITS = ("D", "h", "s", "ms", "us", "ns")


def store(time: Any = None) -> nearhop.GraphStore:
    return nearhop.GraphStore.from_edges(
        [0, 1, 2], [3, 3, 3], time=DAYS.astype("M8[us]") if time is None else time, directed=True
    )


@pytest.mark.parametrize("unit", UNITS)
def test_every_reader_of_times_converts(unit):
    made = store()
    now = np.array(["2020-01-05"], f"M8[{unit}]")
    assert made.attributes["time_unit"] == "us"
    sample = NeighborSampler(made, [-1], temporal=Temporal()).sample([3], seed_time=now)
    assert sorted(sample.edge_ids.tolist()) == [0, 1]
    typed = TypedNeighborSampler(made, [-1], temporal=Temporal()).sample({"node": [3]}, seed_time={"node": now})
    assert sum(ids.size for ids in typed.edge_ids.values()) == 2
    walks = temporal_walks(made, [3], start_time=now, length=1, backward=True)
    assert walks.edge_ids.ravel()[0] in (0, 1)
    assert set(historical_negatives(made, [0], now, 3).ravel().tolist()) == {3}
    made.append_edges([0], [2], time=np.array(["2020-01-10"], f"M8[{unit}]"))
    times: Any = made.edge_list().time
    assert np.diff(times).tolist() == [86_400_000_000, 7 * 86_400_000_000, 86_400_000_000]


def test_windows_are_spans():
    now = np.array(["2020-01-05"], "M8[D]")
    for window in (np.timedelta64(3, "D"), timedelta(days=3), 3 * 86_400_000_000):
        sample = NeighborSampler(store(), [-1], temporal=Temporal(window=window)).sample([3], seed_time=now)
        assert sample.edge_ids.tolist() == [1]
        walks = temporal_walks(store(), [3], start_time=now, length=1, backward=True, window=window)
        assert walks.edge_ids.tolist() == [[1]]
    plain = store([1, 2, 3])
    with pytest.raises(InvalidInput, match="no known unit"):
        NeighborSampler(plain, [-1], temporal=Temporal(window=timedelta(days=1)))


def test_what_does_not_fit_is_refused():
    with pytest.raises(
        InvalidInput, match=r"time\[0\] is 2020-01-10T00:00:00.000000001, which is not a whole number of us"
    ):
        store().append_edges([0], [2], time=np.array(["2020-01-10T00:00:00.000000001"], "M8[ns]"))
    with pytest.raises(InvalidInput, match="fits in 64 bits"):
        store(DAYS.astype("M8[ns]")).append_edges([0], [2], time=np.array(["9999-01-01"], "M8[D]"))
    with pytest.raises(InvalidInput, match="is NaT"):
        store(np.array(["2020", "NaT", "2020"], "M8[us]"))
    plain = store([1, 2, 3])
    for call in (
        lambda: plain.append_edges([0], [2], time=DAYS[:1]),
        lambda: NeighborSampler(plain, [-1], temporal=Temporal()).sample([3], seed_time=DAYS[:1]),
        lambda: temporal_walks(plain, [3], start_time=DAYS[:1]),
    ):
        with pytest.raises(InvalidInput, match=r"no known unit; give numbers, or say the unit once: store\.attributes"):
            call()
    plain.attributes["time_unit"] = "D"
    plain.append_edges([0], [2], time=DAYS[:1])
    assert plain.edge_list().time.tolist() == [1, 2, 3, 18262]
    plain.attributes["time_unit"] = "fortnight"
    with pytest.raises(InvalidInput, match="must be one of"):
        plain.append_edges([0], [2], time=DAYS[:1])


def test_moments_of_other_kinds():
    zoned = [datetime(2020, 1, day, tzinfo=UTC) for day in (1, 2, 9)]
    assert store(zoned).edge_list().time.tolist() == store().edge_list().time.tolist()
    assert (
        store([day.replace(tzinfo=None) for day in zoned]).edge_list().time.tolist()
        == store().edge_list().time.tolist()
    )
    with pytest.raises(InvalidInput, match="with a time zone and moments without"):
        store([zoned[0], zoned[1].replace(tzinfo=None), zoned[2]])
    odd = store(np.array(["2020-01-01", "2020-01-02", "2020-01-03"], "M8[D]").astype("M8[12h]"))
    assert odd.attributes["time_unit"] == "us"


@needs("pandas")
def test_moments_of_pandas():
    import pandas as pd

    there = pd.to_datetime(pd.Series(["2020-01-01T01:00+01:00", "2020-01-02T01:00+01:00", "2020-01-09T01:00+01:00"]))
    made = store(there)
    days = made.edge_list().time.astype(f"M8[{made.attributes['time_unit']}]").astype("M8[D]")
    assert days.tolist() == DAYS.tolist()


def test_the_unit_is_kept_and_shared(tmp_path):
    made = nearhop.GraphStore.from_typed({"a": 2}, {("a", "x", "a"): {"src": [0], "dst": [1], "time": DAYS[:1]}})
    made.add_edge_type(("a", "y", "a"), [0], [1], time=DAYS[1:2].astype("M8[ns]"))
    assert made.edge_list(("a", "y", "a")).time.tolist() == [18263]
    saved = made.save(tmp_path / "s.nh")
    saved.append_edges([1], [0], time=DAYS[2:].astype("M8[s]"), edge_type=("a", "x", "a"))
    saved.commit()
    assert nearhop.open(tmp_path / "s.nh").edge_list(("a", "x", "a")).time.tolist() == [18262, 18270]


def test_a_failed_call_sets_no_unit():
    made = nearhop.GraphStore.from_edges([0], [1])
    with pytest.raises(InvalidInput):
        made.add_edge_type(("node", "x", "node"), [0], [9], time=DAYS[:1])
    assert "time_unit" not in made.attributes


def test_models_do_not_round_times():
    made = store(DAYS.astype("M8[ns]"))
    events = Events.from_store(made)
    assert np.diff(events.time).tolist() == [86_400e9, 7 * 86_400e9]
    assert events.time[0] == 0  # nanoseconds since 1970 do not fit, so they count from the first
    far = nearhop.GraphStore.from_edges([0, 1], [1, 2], time=[0, 1 << 60])
    with pytest.raises(InvalidInput, match="more than float64 holds exactly"):
        Events.from_store(far)
    with pytest.raises(InvalidInput, match="give numbers of one unit"):
        NCache(4, sizes=(1, 2)).insert([0], [1], time=DAYS[:1])
    with pytest.raises(InvalidInput, match="float64 cannot hold exactly"):
        float_times(np.array([(1 << 53) + 1]))
