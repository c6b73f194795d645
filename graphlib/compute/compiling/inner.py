"""Kernels within kernels.

A kernel that another one calls is linked into it: Numba compiles it as if Python called it too, with code that turns
Python's objects into its arguments and back, which for tuples of arrays is longer than many a kernel, with every
optimisation and with machine code of its own, though the caller holds a copy of it, optimised there once more. Of such
inner kernels neither wrappers nor machine code are made, and optimisation is left to the kernels that hold them. Those
that are to be inlined (`forceinline`) are optimised by themselves, too: loops of a few lines come out better.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.core import sigutils
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler_lock import global_compiler_lock


class _NoMachineCode:
    """The code generator of a library without machine code, whose environment lies in the libraries that link it."""

    def set_env(self, name: str, environment: Any) -> None:
        pass


class InnerLibrary(JITCodeLibrary):  # type: ignore[misc, unused-ignore]
    """Functions for other libraries to link and optimise; machine code is made only where an address is asked for."""

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
            JITCodeLibrary._optimize_final_module(self)
            self._finalize_final_module()
        return super().get_pointer_to_function(name)

    def serialize_using_object_code(self) -> Any:
        return self.serialize_using_bitcode()

    @property
    def codegen(self) -> Any:
        return self._codegen if self._is_native else _NoMachineCode()


class LateLibrary(InnerLibrary):
    """Functions that are optimised by those who link them; those that are to be inlined are better optimised before."""

    def _optimize_final_module(self) -> None:
        manager, builder = self._codegen._module_pass_manager(
            loop_vectorize=False, slp_vectorize=False, opt=0, cost="cheap"
        )
        manager.run(self._final_module, builder)


def link_inner(outer: Any, inner: Callable[[], Any], library: type[InnerLibrary]) -> None:
    """Let kernels that call `outer` link what `inner()` compiles: the same function without wrappers."""
    made: list[Any] = []

    def only() -> Any:
        if not made:
            made.append(_without_machine_code(inner(), library))
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


def _without_machine_code(dispatcher: Any, library: type[InnerLibrary]) -> Any:
    plain = dispatcher.compile

    def compiled(signature: Any) -> Any:
        with global_compiler_lock:
            codegen = dispatcher.targetctx.codegen()
            before, codegen._library_class = codegen._library_class, library
            try:
                return plain(signature)
            finally:
                codegen._library_class = before

    dispatcher.compile = compiled
    return dispatcher
