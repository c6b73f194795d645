"""Tensors as arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import InvalidType
from .extras import require

if TYPE_CHECKING:
    from numpy.typing import NDArray


def to_array(tensor: Any, name: str = "edge_index") -> NDArray[Any]:
    """A tensor as an array over the same memory; bfloat16, which NumPy lacks, as float32."""
    torch = require("torch", "reading tensors")
    if tensor.layout is not torch.strided or tensor.is_quantized:
        kind = "quantized" if tensor.is_quantized else "sparse"
        raise InvalidType(f"{name} is a {kind} tensor; give it dense, with .to_dense() or .dequantize()")
    if tensor.is_complex():
        raise InvalidType(f"{name} holds {tensor.dtype}; allowed are booleans, integers and real numbers")
    plain = tensor.detach().cpu().resolve_neg()
    array: NDArray[Any] = (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()
    return array


__all__ = ["to_array"]
