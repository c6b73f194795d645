"""The conditional variational autoencoder of neighbours' features."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from ...graphlib.errors import InvalidInput
from ..nodes.features import FeatureLinear, Features

DECODERS = ("bernoulli", "gaussian")


class ConditionalVAE(nn.Module):
    """p(x | c) with a latent code z: encoder (x, c) -> N(mu, sigma^2), decoder (z, c) -> x.

    Encoder and decoder have one hidden layer with ReLU. The layer that reads two things is kept as two maps whose
    results are added, so that the condition's share can be computed once for all draws.

    Parameters
    ----------
    num_features : int
    hidden : int, default 256
    latent : int, default 10
    decoder : {"bernoulli", "gaussian"}, default "bernoulli"
        "bernoulli": a sigmoid and the cross entropy, for features in [0, 1]. "gaussian": neither, and the squared
        error.

    References
    ----------
    S. Liu et al., "Local Augmentation for Graph Neural Networks", arXiv:2109.03856, equation 5.

    Examples
    --------
    >>> import torch
    >>> from nearhop.gnn.augmentation import ConditionalVAE
    >>> model = ConditionalVAE(6)
    >>> x = torch.rand(4, 6)
    >>> model.loss(x, x).item() > 0, tuple(model.decode(torch.zeros(4, 10), model.condition(x)).shape)
    (True, (4, 6))
    """

    def __init__(self, num_features: int, *, hidden: int = 256, latent: int = 10, decoder: str = "bernoulli") -> None:
        super().__init__()
        if decoder not in DECODERS:
            raise InvalidInput(f"decoder must be one of {', '.join(map(repr, DECODERS))}; got {decoder!r}")
        self.latent, self.decoder = latent, decoder
        self.encode_target = FeatureLinear(num_features, hidden)
        self.encode_condition = FeatureLinear(num_features, hidden, bias=False)
        self.mean, self.log_variance = nn.Linear(hidden, latent), nn.Linear(hidden, latent)
        self.decode_code = nn.Linear(latent, hidden)
        self.decode_condition = FeatureLinear(num_features, hidden, bias=False)
        self.output = nn.Linear(hidden, num_features)
        for layer, inputs in ((self.encode_target, 2 * num_features), (self.encode_condition, 2 * num_features),
                              (self.decode_condition, num_features + latent)):  # fmt: skip
            nn.init.uniform_(layer.weight, -1 / math.sqrt(inputs), 1 / math.sqrt(inputs))

    def loss(self, x: Tensor, condition: Tensor) -> Tensor:
        """(reconstruction + KL(N(mu, sigma^2) || N(0, I))) / batch for dense rows (batch, F)."""
        h = torch.relu(self.encode_target(x) + self.encode_condition(condition))
        mean, log_variance = self.mean(h), self.log_variance(h)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        h = torch.relu(self.decode_code(z) + self.decode_condition(condition))
        found = self.output(h)
        if self.decoder == "bernoulli":
            error = binary_cross_entropy_with_logits(found, x, reduction="sum")
        else:
            error = (found - x).square().sum()
        divergence = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()
        return (error + divergence) / x.shape[0]

    def condition(self, x: Features) -> Tensor:
        """What conditions (n, F), sparse or dense, add to the decoder's hidden layer (n, hidden), whatever the code."""
        found: Tensor = x @ self.decode_condition.weight
        return found

    def decode(self, z: Tensor, condition: Tensor) -> Tensor:
        """Features (n, F) from codes and what `condition` gave."""
        found: Tensor = self.output(torch.relu(self.decode_code(z) + condition))
        return torch.sigmoid(found) if self.decoder == "bernoulli" else found
