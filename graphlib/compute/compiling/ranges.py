"""A kernel's `numba.prange` loops as functions of a range of their turns.

A parallel kernel is written as Numba wants it, mostly one `prange` loop over turns that do not depend on one another:

    @parallel_kernel
    def double(x, out):
        n = x.shape[0]
        for i in numba.prange(n):
            out[i] = 2 * x[i]

`split` makes two functions of it. One counts the turns, in plain Python; the other, which is compiled, does those from
`first` to `last`:

    def count(x, out):                 def double(first, last, worker, x, out):
        n = x.shape[0]                     n = x.shape[0]
        return n                           for i in range(first, last):
                                               out[i] = 2 * x[i]

What stands before the loop is done for each range, so it is a matter of a few scalars. `numba.get_thread_id()` within
the loop becomes `worker`.

Steps that follow one another, each over all turns of the one before, are several loops, one behind the other. `split`
counts the turns of each then, and the compiled function does those of one, or of all whose turns are asked for in one
piece, so that a chain of short steps is one call:

    def chain(stage, first, last, worker, x, y, out):
        if stage == 0 or stage < 0:
            for i in range(0 if stage < 0 else first, x.shape[0] if stage < 0 else last):
                y[i] = 2 * x[i]
        if stage == 1 or stage < 0:
            ...
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

_STAGE, _RANGE = "stage__", ("first__", "last__", "worker__")


def split(function: Callable[..., Any]) -> tuple[Callable[..., Any], FunctionType]:
    """The counter of the turns and the function of a range of them.

    Of several loops, the counter gives a list, and the function takes first the number of a loop, or -1 for all turns
    of all.
    """
    source = textwrap.dedent(inspect.getsource(function))
    definition = ast.parse(source).body[0]
    if not isinstance(definition, ast.FunctionDef) or not _num_loops(definition.body):
        raise TypeError(f"{function.__qualname__}: a parallel kernel ends with its loops over numba.prange(...)")
    definition.decorator_list = []
    ast.increment_lineno(definition, function.__code__.co_firstlineno - 1)
    begin = len(definition.body) - _num_loops(definition.body)
    before, loops = definition.body[:begin], [loop for loop in definition.body[begin:] if isinstance(loop, ast.For)]
    turns = [loop.iter.args[0] for loop in loops]  # type: ignore[attr-defined]
    told = turns[0] if len(loops) == 1 else ast.List(turns, ast.Load())
    counter = ast.copy_location(
        ast.FunctionDef(**{**_fields(definition), "body": [*before, ast.Return(value=told)]}), definition
    )
    if len(loops) == 1:
        loops[0].iter = _call("range", *_RANGE[:2])
    else:
        definition.body[begin:] = [_stage(number, loop) for number, loop in enumerate(loops)]
    names = _RANGE if len(loops) == 1 else (_STAGE, *_RANGE)
    arguments = definition.args
    arguments.args = [*(ast.arg(name) for name in names), *arguments.args]
    ranged = _Workers().visit(definition)
    return _compiled(counter, function), _compiled(ranged, function)


def has_stages(ranged: FunctionType) -> bool:
    """Whether a function that `split` made takes the number of a loop."""
    return ranged.__code__.co_varnames[:1] == (_STAGE,)


def _num_loops(body: list[ast.stmt]) -> int:
    """How many of the last statements are loops over `numba.prange`."""
    count = 0
    while count < len(body) and isinstance(loop := body[-1 - count], ast.For) and _is_prange(loop.iter):
        count += 1
    return count


def _stage(number: int, loop: ast.For) -> ast.stmt:
    """A loop as that of a stage: a range of its turns, or all of them."""
    turns = ast.unparse(loop.iter.args[0])  # type: ignore[attr-defined]
    first, last, _ = _RANGE
    text = f"""
if {_STAGE} == {number} or {_STAGE} < 0:
    for _ in range(0 if {_STAGE} < 0 else {first}, ({turns}) if {_STAGE} < 0 else {last}):
        pass
"""
    stage = ast.copy_location(ast.parse(text).body[0], loop)
    inner = stage.body[0]  # type: ignore[attr-defined]
    for node in ast.walk(stage):
        ast.copy_location(node, loop)
    inner.target, inner.body = loop.target, loop.body
    return stage


def _call(name: str, *arguments: str) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), [ast.Name(given, ast.Load()) for given in arguments], [])


def _fields(definition: ast.FunctionDef) -> dict[str, Any]:
    arguments = ast.arguments(**{name: getattr(definition.args, name) for name in definition.args._fields})
    return {**{name: getattr(definition, name) for name in definition._fields}, "args": arguments}


def _is_prange(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) in ("prange", "numba.prange") and len(node.args) == 1


class _Workers(ast.NodeTransformer):
    def visit_Call(self, node: ast.Call) -> ast.AST:
        if ast.unparse(node.func) in ("get_thread_id", "numba.get_thread_id"):
            return ast.copy_location(ast.Name(_RANGE[2], ast.Load()), node)
        return self.generic_visit(node)


def _compiled(definition: ast.FunctionDef, function: Callable[..., Any]) -> FunctionType:
    """The function of a definition, in the module of `function` and with its line numbers."""
    module = ast.fix_missing_locations(ast.Module([definition], []))
    whole = compile(module, function.__code__.co_filename, "exec", dont_inherit=True)
    code = next(constant for constant in whole.co_consts if isinstance(constant, CodeType))
    made = FunctionType(code, function.__globals__, function.__name__)
    made.__module__, made.__qualname__, made.__doc__ = function.__module__, function.__qualname__, function.__doc__
    return made
