"""The type of wide products, chosen by what the processor multiplies."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from nearhop.gnn import LocalAugmenter, precision  # noqa: E402
from nearhop.gnn.nodes.models import GCNII  # noqa: E402
from nearhop.graphlib import tensors  # noqa: E402


@pytest.mark.parametrize(("has_it", "wanted"), [(True, "bfloat16"), (False, "float32")])
def test_auto_follows_the_processor_and_names_stay(monkeypatch, has_it, wanted):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has_it, raising=False)
    assert precision.precision_of("auto") == wanted
    assert precision.precision_of("float32") == "float32"
    assert precision.precision_of("bfloat16") == "bfloat16"
    assert GCNII(5, 8, 2, num_layers=2, precision="auto").precision == wanted
    assert LocalAugmenter(precision="auto").options.precision == wanted


def test_a_torch_that_cannot_tell_multiplies_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    assert not tensors.multiplies_bfloat16()
    assert precision.precision_of("auto") == "float32"
