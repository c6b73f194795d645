"""Kernels as other kernels call them: compiled as far as linking them needs, and no further.

Numba compiles a function that another one calls as if Python called it too: with code that turns Python's objects into
its arguments and back, which for tuples of arrays is longer than many a kernel, and with machine code of its own,
though the caller holds a copy of it, optimised there once more. Of an inner kernel neither is made. What callers hold
stays the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.core import sigutils
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler_lock import global_compiler_lock
from numba.core.dispatcher import Dispatcher

ONLY_INNER = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


class _NoMachineCode:
    """The code generator of a library without machine code, whose environment lies in the libraries that link it."""

    def set_env(self, name: str, environment: Any) -> None:
        pass


class InnerLibrary(JITCodeLibrary):  # type: ignore[misc, unused-ignore]
    """Optimised functions for other libraries to link; machine code is made only where somebody asks for an address."""

    _is_native = False

    def _finalize_final_module(self) -> None:
        if self._is_native:
            super()._finalize_final_module()
            return
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> Any:
        self._ensure_finalized()
        if not any(one.name == name and not one.is_declaration for one in self._final_module.functions):
            return 0
        if not self._is_native:
            self._is_native = True
            self._finalize_final_module()
        return super().get_pointer_to_function(name)

    def serialize_using_object_code(self) -> Any:
        return self.serialize_using_bitcode()

    @property
    def codegen(self) -> Any:
        return self._codegen if self._is_native else _NoMachineCode()


def link_inner(outer: Dispatcher, inner: Callable[[], Dispatcher]) -> None:
    """Let kernels that call `outer` link what `inner()` compiles: the same function with the options `ONLY_INNER`."""
    made: list[Any] = []

    def only() -> Any:
        if not made:
            made.append(_without_machine_code(inner()))
        return made[0]

    outer.get_call_template = lambda args, kws: only().get_call_template(args, kws)
    outer.get_overload = lambda signature: only().get_overload(signature)
    plain = outer.compile

    def compiled(signature: Any) -> Any:
        entry = plain(signature)
        result = outer.overloads[tuple(sigutils.normalize_signature(signature)[0])]
        for environment in result._find_referenced_environments():  # those of the kernels that it holds
            result.library.codegen.set_env(environment.env_name, environment)
        return entry

    outer.compile = compiled


def _without_machine_code(dispatcher: Dispatcher) -> Dispatcher:
    plain = dispatcher.compile

    def compiled(signature: Any) -> Any:
        with global_compiler_lock:
            codegen = dispatcher.targetctx.codegen()
            before, codegen._library_class = codegen._library_class, InnerLibrary
            try:
                return plain(signature)
            finally:
                codegen._library_class = before

    dispatcher.compile = compiled
    return dispatcher


__all__ = ["ONLY_INNER", "InnerLibrary", "link_inner"]
