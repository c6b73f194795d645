"""A language model beside n-grams, trained as one encoder: meanings and spellings."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn

from .minilm import SentenceEncoder
from .ngram_encoder import NGramEncoder

_TAGS = re.compile(r"\[COL\] .*? \[VAL\] ")  # of `serialised`, which say nothing to n-grams
_GRAMS = 0.65  # share of the n-grams in cosines, before training


class BothEncoder(nn.Module):
    """The vectors of `SentenceEncoder` and `NGramEncoder` beside each other, in shares that are learned; length 1.

    The cosine of two outputs is share * (cosine of n-grams) + (1 - share) * (cosine of sentences).
    """

    batch_size = 32
    learning_rate = SentenceEncoder.learning_rate

    def __init__(self, model: Any = "minilm", seed: int = 0) -> None:
        super().__init__()
        self.sentences = SentenceEncoder(model)
        self.grams = NGramEncoder(seed=seed)
        self.share = nn.Parameter(torch.logit(torch.tensor(_GRAMS)))

    def prepare(self, texts: list[str]) -> None:
        """Take the rarity of n-grams in these texts."""
        self.grams.prepare(_untagged(texts))

    def groups(self, rate: float) -> list[dict[str, Any]]:
        """Parameters and their learning rates: n-grams learn faster than a language model, by as much as alone."""
        faster = rate * self.grams.learning_rate / self.sentences.learning_rate
        return [
            {"params": [p for p in self.sentences.parameters() if p.requires_grad], "lr": rate},
            {"params": [*self.grams.parameters(), self.share], "lr": faster},
        ]

    def forward(self, texts: list[str]) -> Tensor:
        share = torch.sigmoid(self.share)
        parts = [share.sqrt() * self.grams(_untagged(texts)), (1 - share).sqrt() * self.sentences(texts)]
        return nn.functional.normalize(torch.cat(parts, dim=1), dim=1)


def _untagged(texts: list[str]) -> list[str]:
    return [_TAGS.sub("", text) for text in texts]


__all__ = ["BothEncoder"]
