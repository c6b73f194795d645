"""Recommendations from an N-cache that an index searches: who shares your neighbours, what do your neighbours' share?

A stream is inserted into an N-cache; each node's dictionary of neighbours becomes a column of the store, in which the
similarity of two nodes is the number of neighbours they share; HNSW indexes the column where it lies. Asked are links
of the last 15 % of the events between nodes that were known before but had never met. Among people (enron), whoever
shares most neighbours is recommended; for users of pages (jodie-wikipedia), the pages that share most readers with the
user's latest pages. Beside it: the nodes with the most neighbours.

    python examples/nat_recommend.py                  # both data sets
    python examples/nat_recommend.py --short          # enron
"""

from __future__ import annotations

import time

import _report
import numpy as np

from nearhop import ann, datasets
from nearhop.gnn.temporal.splits import Events, time_split
from nearhop.gnn.temporal.trainer import batches
from nearhop.sampling import NCache


def remember(events, positions, slots, batch_size, seed):
    """An N-cache that has seen the events at `positions`, and the seconds that took."""
    cache = NCache(events.num_nodes, (1, slots), value_dim=0, seed=seed)
    start = time.perf_counter()
    for part in batches(positions, batch_size):
        seen = events.take(part)
        cache.insert(seen.src, seen.dst, time=seen.time, edge_ids=seen.edge_ids)
    return cache, time.perf_counter() - start


def acquaintances(events, positions):
    """For every node with events, the nodes it met."""
    met: dict[int, set[int]] = {}
    for u, v in zip(events.src[positions].tolist(), events.dst[positions].tolist(), strict=True):
        met.setdefault(u, set()).add(v)
        met.setdefault(v, set()).add(u)
    return met


def queries(cache, vectors, users, bipartite):
    """What to search for: a person's own vector, or the sum of those of a user's latest pages."""
    if not bipartite:
        return vectors[users]
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    keys = cache.table(1)[users]
    return np.stack([unit[row[row >= 0]].sum(axis=0) for row in keys])


def recall(lists, users, met, wanted, k):
    """Of the new neighbours of all users (at most k each), the share among the first k new ones of their lists."""
    found = asked = 0
    for user, offered in zip(users.tolist(), lists, strict=True):
        new = [v for v in offered if v >= 0 and v != user and v not in met[user]][:k]
        found += len(wanted[user].intersection(new))
        asked += min(k, len(wanted[user]))
    return found / asked


def recommend(name, seed, given):
    """What was asked of one data set, and the recall of both ways."""
    store = datasets.load(name)
    bipartite = "is_page" in store.nodes
    events = Events.from_store(store)
    split = time_split(events)
    earlier = np.concatenate([split.train, split.val])
    cache, seconds = remember(events, earlier, given.slots, given.batch_size, seed)
    store.nodes["acquaintances"] = cache.overlap_vectors(hop=1)
    index = ann.HNSW(metric="cosine", ef_construction=100, seed=seed, threads=given.threads)
    index.add(store.nodes["acquaintances"])

    met = acquaintances(events, earlier)
    wanted: dict[int, set[int]] = {}
    for u, v in zip(events.src[split.test].tolist(), events.dst[split.test].tolist(), strict=True):
        if u != v and u in met and v in met and v not in met[u]:
            wanted.setdefault(u, set()).add(v)
    users = np.array(sorted(wanted))
    asked = queries(cache, store.nodes["acquaintances"], users, bipartite)
    allowed = np.flatnonzero(store.nodes["is_page"]) if bipartite else None
    width = min(given.search, store.num_nodes)
    result = index.search(asked, width, ef_search=2 * width, filter=allowed)
    degree = np.array([len(met.get(v, ())) for v in range(store.num_nodes)])
    if allowed is not None:
        degree[np.setdiff1d(np.arange(store.num_nodes), allowed)] = -1
    popular = np.argsort(-degree, kind="stable").tolist()
    asked_of = {"nodes asked": len(users), "new links": sum(map(len, wanted.values()))}
    found = recall(result.ids.tolist(), users, met, wanted, given.k)
    plain = recall([popular] * len(users), users, met, wanted, given.k)
    return {**asked_of, "events per second": len(earlier) / seconds}, found, plain


def main() -> None:
    names = ["enron", "jodie-wikipedia"]
    parser = _report.parser(__doc__, datasets=names, seeds=1, short={"datasets": names[:1]})
    parser.add_argument("--slots", type=_report.positive, default=64, help="neighbours a node remembers at most")
    parser.add_argument("--k", type=_report.positive, default=10, help="recommendations per node")
    parser.add_argument("--search", type=_report.positive, default=200, help="neighbours to ask the index for")
    parser.add_argument("--batch-size", type=_report.positive, default=500, help="events inserted at once")
    given = parser.parse_args()
    rows, asked = [], {}
    for name in given.datasets:
        facts, found, plain = zip(*(recommend(name, seed, given) for seed in range(given.seeds)), strict=True)
        asked[name] = facts[0]
        rows.append(_report.Row.of(name, f"recall@{given.k}", found))
        rows.append(_report.Row.of(name, f"recall@{given.k} of the most popular", plain))
        _report.note(f"{name}: " + ", ".join(f"{value:,.0f} {what}" for what, value in facts[0].items()))
    _report.show(rows, as_json=given.json, digits=3, asked=asked)


if __name__ == "__main__":
    main()
