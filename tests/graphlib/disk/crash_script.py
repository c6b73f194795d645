"""Kills writers at chosen file operations and looks at what they leave; test_crash.py runs it in a process of its own.

usage: crash_script.py FOLDER MODE START STEP
MODE is "kill" (the process dies; what it wrote stays in the page cache) or "power" (also, file contents and names
that were never fsynced are lost). Prints one JSON line: how many points there are, and what failed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import nearhop
from nearhop.graphlib import process
from nearhop.graphlib.disk import files
from nearhop.graphlib.store.store import GraphStore

NODES = 50
OPERATIONS = [
    *("create", "reserve", "write", "sync", "sync_folder", "truncate"),
    *("publish", "rename", "replace", "remove"),
]


def graph(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, NODES, count), rng.integers(0, NODES, count)


def column(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((NODES, 3), dtype=np.float32)


def make(path: Path) -> None:
    store = GraphStore.from_edges(*graph(0, 200), num_nodes=NODES)
    store.nodes["x"] = column(0)
    store.save(path)


def write(path: Path, committed: Callable[[int], None]) -> None:
    """The writer: columns, appended edges, an edge type, compaction. Version v holds what `expected(v)` says."""
    store = nearhop.open(path)
    store.nodes["x"] = column(2)
    committed(store.commit("version 2"))
    for version in (3, 4):
        store.append_edges(*graph(version, 20))
        store.append_edges(*graph(100 + version, 7))
        committed(store.commit(f"version {version}"))
    store.add_edge_type(("node", "near", "node"), *graph(5, 60), directed=True)
    store.nodes["y"] = column(5)
    committed(store.commit("version 5"))
    store.compact()
    committed(6)
    created = store.nodes.create("z", (4,), np.float32)
    created[:] = 7
    committed(store.commit("version 7"))
    store.append_edges(*graph(8, 30))
    store.edges["kind"] = np.arange(store.num_edges_of(("node", "edge", "node")))
    committed(store.commit("version 8"))
    store.compact(keep=2)
    committed(9)


def expected(version: int) -> dict[str, Any]:
    parts = [graph(0, 200)]
    for number in (3, 4):
        if version >= number:
            parts += [graph(number, 20), graph(100 + number, 7)]
    if version >= 8:
        parts.append(graph(8, 30))
    columns = {"x": column(2 if version >= 2 else 0)}
    if version >= 5:
        columns["y"] = column(5)
    if version >= 7:
        columns["z"] = np.full((NODES, 4), 7, np.float32)
    return {
        "src": np.concatenate([p[0] for p in parts]),
        "dst": np.concatenate([p[1] for p in parts]),
        "columns": columns,
        "near": graph(5, 60) if version >= 5 else None,
    }


class Saboteur:
    """Counts file operations and kills the process at the wanted one; a write can also stop half way."""

    def __init__(self, at: int | None, power: bool) -> None:
        self.count = 0
        self._at = at
        self._power = power
        self._synced: dict[str, int] = {}
        self._new_names: set[str] = set()
        for name in OPERATIONS:
            setattr(files, name, self._wrap(name, getattr(files, name)))

    def _wrap(self, name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any) -> Any:
            self._point()
            if name == "write":
                path = os.readlink(f"/proc/self/fd/{args[0]}")
                self._synced.setdefault(path, os.path.getsize(path))
                if self.count == self._at:
                    operation(args[0], memoryview(args[1]).cast("B")[: memoryview(args[1]).nbytes // 2])
                self._point()
            result = operation(*args)
            self._note(name, args)
            return result

        return wrapped

    def _note(self, name: str, args: tuple[Any, ...]) -> None:
        if name == "sync":
            path = os.readlink(f"/proc/self/fd/{args[0]}")
            self._synced.pop(path, None)
        elif name in ("create", "publish", "rename", "replace"):
            self._new_names.add(str(args[-1]))
        elif name == "sync_folder":
            self._new_names = {p for p in self._new_names if os.path.dirname(p) != str(args[0])}

    def _point(self) -> None:
        if self.count == self._at:
            if self._power:
                for path, size in self._synced.items():
                    if os.path.exists(path):
                        os.truncate(path, size)
                for path in self._new_names:
                    if os.path.isfile(path):
                        os.unlink(path)
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1


def in_child(run: Callable[[int], None]) -> tuple[int, str]:
    """Run in a fork; returns its status and what it reported."""
    read, report = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        process._FIRST = os.getpid()  # this threading layer survives a fork; kernels compiled before serve every child
        try:
            run(report)
            os._exit(0)
        except BaseException as error:
            os.write(report, f"{type(error).__name__}: {error}".encode())
            os._exit(1)
    os.close(report)
    said = b""
    while part := os.read(read, 1 << 16):
        said += part
    os.close(read)
    return os.waitpid(child, 0)[1], said.decode()


def check(path: Path, acknowledged: int) -> None:
    """The store is whole at the last acknowledged version, or a later one, and the next writer can go on."""
    for turn in range(2):
        store = nearhop.open(path)
        version = store.version or 0
        if turn == 0 and not acknowledged <= version <= acknowledged + 1:
            raise AssertionError(f"version {version} after {acknowledged} was acknowledged")
        store.verify()
        if turn == 0:
            wanted = expected(version)
            edges = store.edge_list(("node", "edge", "node"))
            np.testing.assert_array_equal(edges.src, wanted["src"])
            np.testing.assert_array_equal(edges.dst, wanted["dst"])
            if set(store.nodes) != set(wanted["columns"]):
                raise AssertionError(f"columns {set(store.nodes)} at version {version}")
            for name, values in wanted["columns"].items():
                np.testing.assert_array_equal(store.nodes[name], values)
            if wanted["near"] is not None:
                np.testing.assert_array_equal(store.edge_list(("node", "near", "node")).src, wanted["near"][0])
            store.append_edges(*graph(999, 5), edge_type=("node", "edge", "node"))
            store.commit("after the crash")
            store.compact()


def attempt(root: Path, at: int | None, power: bool) -> tuple[int, str | None]:
    path = root / f"{'power' if power else 'kill'}-{at}.nh"
    shutil.copytree(root / "made.nh", path)

    def writer(report: int) -> None:
        saboteur = Saboteur(at, power)
        write(path, lambda version: say(report, version))
        os.write(report, f"points={saboteur.count}".encode())

    status, said = in_child(writer)
    words = said.split()
    if at is None:
        return int(words[-1].removeprefix("points=")), None
    if not os.WIFSIGNALED(status):
        return 0, f"point {at}: the writer was not killed ({said})"
    acknowledged = int(words[-1]) if words else 1
    status, said = in_child(lambda report: check(path, acknowledged))
    shutil.rmtree(path)
    return 0, None if status == 0 else f"point {at}: {said}"


def say(report: int, version: int) -> None:
    os.write(report, f"{version} ".encode())


def main() -> None:
    root, mode, start, step = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    power = mode == "power"
    os.fsync = lambda fd: None  # what was not fsynced is known here, and lost on purpose
    make(root / "made.nh")
    shutil.copytree(root / "made.nh", root / "warm.nh")
    write(root / "warm.nh", lambda _: None)  # compiles every kernel once, for all forks
    check(root / "warm.nh", 9)
    total, _ = attempt(root, None, power)
    tried = list(range(start, total, step))
    failures = [why for at in tried if (why := attempt(root, at, power)[1]) is not None]
    sys.stdout.write(json.dumps({"points": total, "tried": len(tried), "failures": failures}) + "\n")


if __name__ == "__main__":
    main()
