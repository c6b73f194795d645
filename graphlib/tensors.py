"""Tensors as arrays, and which of their products are fast here."""

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


def multiplies_bfloat16() -> bool:
    """Whether this processor has instructions for products of bfloat16 that torch makes use of (AVX-512 BF16)."""
    torch = require("torch", "products of bfloat16")
    known = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(known is not None and known())


__all__ = ["multiplies_bfloat16", "to_array"]
