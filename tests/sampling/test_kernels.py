"""Kernels take few things: arrays that belong together travel together."""

from __future__ import annotations

import ast
from pathlib import Path

import nearhop

MOST = 10
WITH_REASON = {"_rows"}  # of gathers: the copy it is compiled for, beside what `copy_rows` takes


def test_no_kernel_takes_more_than_ten_arguments():
    found = {}
    for path in (Path(nearhop.__file__).parent / "sampling").rglob("*_cpu.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.decorator_list:
                found[path.name, node.name] = len(node.args.args)
    assert len(found) > 60
    assert {name for (_, name), count in found.items() if count > MOST} == WITH_REASON
