"""Kernels that borrow their arrays: no reference is counted to what the caller holds anyway.

Numba counts references to the memory of an array whenever a kernel takes a view of it, a row of a matrix say, and when
it is done with that, each an atomic operation of some nanoseconds and a call for which registers are saved; threads
that work on the same array wait for each other there. A kernel that returns no array needs none of that: its arguments
outlive it. It therefore begins by forgetting who owns them, and views of what nobody owns are not counted. What it
allocates itself is, and a kernel that returns arrays keeps owners, since these may be of the caller's.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import NativeLowering

_OWNERS = ("meminfo", "parent")
_TUPLE: Any = types.BaseTuple


class BorrowingCompiler(CompilerBase):  # type: ignore[misc, unused-ignore]
    """Numba's compiler, but for the owners of arguments."""

    def define_pipelines(self) -> list[Any]:
        whole = DefaultPassBuilder.define_nopython_pipeline(self.state)
        whole.passes = [(_Lowering if step is NativeLowering else step, text) for step, text in whole.passes]
        whole.finalize()
        return [whole]


class _Lower(Lower):  # type: ignore[misc, unused-ignore]
    def extract_function_arguments(self) -> list[Any]:
        arguments: list[Any] = super().extract_function_arguments()
        if _keeps_nothing(self.fndesc.restype):
            kinds = self.fndesc.argtypes
            self.fnargs = [self._without_owner(kind, value) for kind, value in zip(kinds, arguments, strict=True)]
        return self.fnargs

    def create_cpython_wrapper(self, release_gil: bool = False) -> None:
        counted = self.context
        if _keeps_nothing(self.fndesc.restype):
            self.context = counted.subtarget(enable_nrt=False)
        super().create_cpython_wrapper(release_gil)
        self.context = counted

    def _without_owner(self, kind: Any, value: Any) -> Any:
        builder = self.builder
        if isinstance(kind, types.Array):
            model = self.context.data_model_manager[kind]
            for at in map(model.get_field_position, _OWNERS):
                value = builder.insert_value(value, ir.Constant(value.type.elements[at], None), at)
        elif isinstance(kind, _TUPLE):
            for i, part in enumerate(kind):
                within = self._without_owner(part, builder.extract_value(value, i))
                value = builder.insert_value(value, within, i)
        return value


def _keeps_nothing(kind: Any) -> bool:
    """Whether what a kernel returns holds no memory: nothing, a number, or a tuple of such."""
    if isinstance(kind, _TUPLE):
        return all(_keeps_nothing(part) for part in kind)
    return kind is types.none or isinstance(kind, types.Number | types.Boolean)


@register_pass(mutates_CFG=True, analysis_only=False)
class _Lowering(NativeLowering):  # type: ignore[misc, unused-ignore]
    _name = "nearhop_lowering"

    @property
    def lowering_class(self) -> Any:
        return _Lower
