"""What FastRP, SkipGram and GraphVite have in common as objects."""

from __future__ import annotations

from typing import Any

from ..graphlib.scalars import PlainParameters


class Model(PlainParameters):
    """A constructor that only stores its parameters; what `fit` makes is kept under names that begin with `_`."""

    def get_params(self) -> dict[str, Any]:
        """The constructor's parameters by name."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.get_params().items())})"
