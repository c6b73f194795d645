"""Interrupts writers and looks at what they leave; test_interrupts.py runs it in a process of its own.

usage: interrupt_script.py FOLDER TRIES SEED
A child changes a store in a loop, inside `with`, until a real SIGINT reaches it at a random moment; the store is then
opened, verified and written to. Prints one JSON line: how many stores were tried, and what failed.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np

import nearhop
from nearhop.graphlib import process
from nearhop.graphlib.store.store import GraphStore


def writer(path: Path, kind: str) -> None:
    with nearhop.open(path) as store:
        for turn in range(1 << 30):
            if kind == "edges":
                store.append_edges([0, 1], [1, turn % 5])
            elif kind == "created":
                store.nodes.create("c", (2,))[:] = turn
            else:
                store.nodes["x"] = np.full(store.num_nodes, turn)
                store.append_edges([0], [3])
            store.commit(f"turn {turn}")
            if turn % 7 == 6:
                store.compact(keep=2)


def child(path: Path, kind: str) -> None:
    process._FIRST = os.getpid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        writer(path, kind)
    except KeyboardInterrupt:
        os._exit(0)
    except BaseException as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
    os._exit(1)


def interrupted(path: Path, kind: str, wait_s: float) -> str | None:
    pid = os.fork()
    if pid == 0:
        child(path, kind)
    time.sleep(wait_s)
    done, status = 0, 0
    while not done:  # a second Ctrl-C only where the first fell into a callback that swallowed it
        os.kill(pid, signal.SIGINT)
        for _ in range(400):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                break
            time.sleep(0.005)
    return None if status == 0 else f"the writer ended with status {status}"


def check(path: Path) -> str | None:
    try:
        with nearhop.open(path) as store:
            version = store.version or 0
            store.verify()
            store.append_edges([2], [3])
            store.nodes["after"] = np.ones(store.num_nodes)
            if store.commit("after") != version + 1:
                return "the next commit has another number"
        nearhop.open(path).verify()
    except nearhop.NearhopError as error:
        return f"{type(error).__name__}: {error}"
    return None


def main() -> None:
    root, tries, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    rng = random.Random(seed)
    GraphStore.from_edges([0, 1], [1, 2], num_nodes=5).save(root / "made.nh")
    check(root / "made.nh")  # compiles what the children need
    failures = []
    for number in range(tries):
        path, kind = root / f"{number}.nh", ("edges", "created", "columns")[number % 3]
        GraphStore.from_edges([0, 1], [1, 2], num_nodes=5).save(path)
        said = interrupted(path, kind, 0.005 + rng.random() * 0.08) or check(path)
        if said is not None:
            failures.append(f"{number} ({kind}): {said}")
        shutil.rmtree(path)
    sys.stdout.write(json.dumps({"tried": tries, "failures": failures}) + "\n")


if __name__ == "__main__":
    main()
