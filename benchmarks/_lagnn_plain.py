"""Local augmentation in plain PyTorch, as the authors' code goes about it: dense pairs, dense X, dense draws."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class PlainVAE(nn.Module):
    """Encoder [x, c] -> 256 -> (mu, log sigma^2), decoder [z, c] -> 256 -> x, on concatenated inputs."""

    def __init__(self, features, hidden=256, latent=10):
        super().__init__()
        self.latent = latent
        self.encoder = nn.Linear(2 * features, hidden)
        self.mean, self.log_variance = nn.Linear(hidden, latent), nn.Linear(hidden, latent)
        self.decoder, self.output = nn.Linear(features + latent, hidden), nn.Linear(hidden, features)

    def decode(self, z, c):
        return torch.sigmoid(self.output(torch.relu(self.decoder(torch.cat([z, c], -1)))))

    def loss(self, x, c):
        h = torch.relu(self.encoder(torch.cat([x, c], -1)))
        mean, log_variance = self.mean(h), self.log_variance(h)
        made = self.decode(mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean), c)
        divergence = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
        return (functional.binary_cross_entropy(made, x, reduction="sum") + divergence) / x.shape[0]


class PlainGCN(nn.Module):
    """A branch per dense feature matrix, layers A (X W)."""

    def __init__(self, features, hidden, classes, branches=1):
        super().__init__()
        self.first = nn.ModuleList(nn.Linear(features, hidden) for _ in range(branches))
        self.last = nn.Linear(branches * hidden, classes)

    def forward(self, xs, adjacency):
        parts = [
            torch.relu(torch.spmm(adjacency, layer(functional.dropout(x, 0.5, self.training))))
            for layer, x in zip(self.first, xs, strict=True)
        ]
        h = functional.dropout(torch.cat(parts, -1), 0.5, self.training)
        return torch.spmm(adjacency, self.last(h))


class PlainLAGNN:
    """The three things that a run repeats: a step of the generator, a score, an epoch of LA-GCN."""

    def __init__(self, x, indptr, indices, adjacency, labels, train, val, classes):
        self.raw = torch.from_numpy(x)
        self.x = self.raw / self.raw.sum(1, keepdim=True).clamp(min=1e-12)
        rows = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
        self.targets, self.conditions = torch.from_numpy(x[indices]), torch.from_numpy(x[rows])  # 2|E| x F each
        self.adjacency, self.labels = adjacency, torch.from_numpy(labels)
        self.train, self.val = torch.from_numpy(train), torch.from_numpy(val)
        self.vae = PlainVAE(x.shape[1])
        self.vae_optimizer = torch.optim.Adam(self.vae.parameters(), lr=0.01)
        self.judge = PlainGCN(x.shape[1], 32, classes).train()
        self.model = PlainGCN(x.shape[1], 8, classes, branches=2)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.01, weight_decay=5e-4)

    def step(self):
        at = torch.randint(self.targets.shape[0], (64,))
        loss = self.vae.loss(self.targets[at], self.conditions[at])
        self.vae_optimizer.zero_grad()
        loss.backward()
        self.vae_optimizer.step()

    @torch.no_grad()
    def draw(self):
        made = self.vae.decode(torch.randn(self.raw.shape[0], self.vae.latent), self.raw)
        return made / made.sum(1, keepdim=True)

    @torch.no_grad()
    def score(self, passes=100):
        drawn, total, entropy = self.draw(), torch.zeros(()), torch.zeros(())
        for _ in range(passes):
            scores = self.judge([drawn], self.adjacency)
            total = total + torch.softmax(scores, 1)
            entropy = entropy + functional.cross_entropy(scores[self.train], self.labels[self.train])
        mean = torch.log(total / passes)
        return functional.nll_loss(mean[self.train], self.labels[self.train]) - entropy / passes

    def epoch(self, samples=4):
        self.model.train()
        views = [self.model([self.x, self.draw()], self.adjacency) for _ in range(samples)]
        loss = sum(functional.cross_entropy(v[self.train], self.labels[self.train]) for v in views) / samples
        p = torch.stack([torch.softmax(v, 1) for v in views])
        mean = p.mean(0) ** 2
        sharp = (mean / mean.sum(1, keepdim=True)).detach()
        loss = loss + (p - sharp).pow(2).sum(2).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.model.eval()
        with torch.no_grad():
            scores = self.model([self.x, self.draw()], self.adjacency)
            functional.cross_entropy(scores[self.val], self.labels[self.val])
