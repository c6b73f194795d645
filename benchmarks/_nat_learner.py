"""A temporal model in training, as the NAT benchmarks time it."""

from __future__ import annotations

import itertools

import numpy as np
import torch

from nearhop.gnn.temporal.metrics import average_precision

SIZES, VALUE_DIM, SELF_DIM = (1, 32, 16), 4, 72


class Learner:
    """A model with its optimiser, going through the stream again and again, a batch at a time."""

    def __init__(self, model, events, batch_size, warm):
        self.model, self.events, self.batch_size = model, events, batch_size
        self.optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
        self.places = itertools.cycle(range(0, len(events) - batch_size, batch_size))
        self.random = np.random.default_rng(0)
        self.destinations = np.unique(events.dst)
        for _ in range(warm // batch_size):
            self.learn()

    def _next(self):
        start = next(self.places)
        if start == 0:
            self.model.reset()
        seen = self.events.take(np.arange(start, start + self.batch_size))
        return seen, self.random.choice(self.destinations, (self.batch_size, 1))

    def learn(self):
        seen, negatives = self._next()
        positive, negative = self.model.train()(seen.src, seen.dst, negatives, time=seen.time)
        loss = torch.nn.functional.softplus(-positive).mean() + torch.nn.functional.softplus(negative).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.model.observe(seen.src, seen.dst, time=seen.time, edge_ids=seen.edge_ids)
        self.optimizer.step()

    @torch.no_grad()
    def infer(self):
        seen, negatives = self._next()
        positive, negative = self.model.eval()(seen.src, seen.dst, negatives, time=seen.time)
        self.model.observe(seen.src, seen.dst, time=seen.time, edge_ids=seen.edge_ids)
        return average_precision(positive.numpy(), negative.numpy().ravel())


def repeated(run, turns):
    """A function without arguments that calls `run` several times."""
    return lambda: [run() for _ in range(turns)]
