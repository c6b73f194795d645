"""A kernel's `numba.prange` loop as a function of a range of its turns.

A parallel kernel is written as Numba wants it, one `prange` loop over turns that do not depend on one another:

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
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

_RANGE = ("first__", "last__", "worker__")


def split(function: Callable[..., Any]) -> tuple[Callable[..., int], FunctionType]:
    """The counter of the turns and the function of a range of them."""
    source = textwrap.dedent(inspect.getsource(function))
    definition = ast.parse(source).body[0]
    loop = definition.body[-1] if isinstance(definition, ast.FunctionDef) else None
    if not (isinstance(definition, ast.FunctionDef) and isinstance(loop, ast.For) and _is_prange(loop.iter)):
        raise TypeError(f"{function.__qualname__}: a parallel kernel ends with its one loop over numba.prange(...)")
    definition.decorator_list = []
    ast.increment_lineno(definition, function.__code__.co_firstlineno - 1)
    turns = loop.iter.args[0]  # type: ignore[attr-defined]
    before = definition.body[:-1]
    counter = ast.copy_location(
        ast.FunctionDef(**{**_fields(definition), "body": [*before, ast.Return(value=turns)]}), definition
    )
    loop.iter = ast.Call(ast.Name("range", ast.Load()), [ast.Name(name, ast.Load()) for name in _RANGE[:2]], [])
    arguments = definition.args
    arguments.args = [*(ast.arg(name) for name in _RANGE), *arguments.args]
    ranged = _Workers().visit(definition)
    return _compiled(counter, function), _compiled(ranged, function)


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
