"""Parameters that rows are kept by, and that therefore cannot change while an index holds rows."""

from __future__ import annotations

from typing import Any, ClassVar

from ..graphlib.errors import IndexMismatch
from ..graphlib.scalars import plain_parameter


class FrozenParameters:
    """A base of indexes: one of the parameters `FROZEN` that was changed while there were rows is refused when used.

    Parameters are plain attributes. Setting one back to what it was is as good as never having changed it.
    """

    FROZEN: ClassVar[tuple[str, ...]] = ("metric",)

    def __setattr__(self, name: str, value: Any) -> None:
        value = plain_parameter(value)
        if name in self.FROZEN and self._holds_rows():
            self.__dict__.setdefault("_before", {}).setdefault(name, getattr(self, name))
        object.__setattr__(self, name, value)

    def _holds_rows(self) -> bool:
        """Whether anything depends on the parameters yet; called before the constructor is done, too."""
        rows = self.__dict__.get("_rows")
        return rows is not None and len(rows) > 0

    def _thaw(self) -> None:
        """Take the parameters as they are now for those that rows are kept by."""
        self.__dict__.pop("_before", None)

    def _check_frozen(self) -> None:
        """`IndexMismatch` where a parameter is not what the rows were kept by."""
        before: dict[str, Any] = self.__dict__.get("_before", {})
        if not before:
            return
        if not self._holds_rows():
            self._thaw()
            return
        for name, value in before.items():
            now = getattr(self, name)
            if now != value:
                first, others = " and ".join(self.FROZEN[:2]), ", ".join(self.FROZEN[2:])
                raise IndexMismatch(
                    f"{first} cannot change once the index holds rows{others and f' (nor {others})'}: {name} was "
                    f"{value!r} and is now {now!r}; set it back, or make a new index"
                )
