"""The training of a generator: steps over edges, scores every few of them, the state of the best one kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from ...embed.progress import check_finite
from ...graphlib.compute.streams import Purpose, generator
from ..precision import PRECISIONS
from .generated import Draw, Pool
from .options import FitProgress, Options

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .cvae import ConditionalVAE
    from .pairs import Pairs
    from .uncertainty import DropoutEnsemble


@torch.no_grad()
def drawn(options: Options, model: ConditionalVAE, condition: Tensor, pool: Pool, *words: int) -> Draw:
    """The draw that `words` name, of a model and what its conditions gave."""
    rng = generator(options.seed, Purpose.GENERATED, *words)
    z = torch.from_numpy(rng.standard_normal((condition.shape[0], options.latent), np.float32))
    dtype, normalize = PRECISIONS[options.precision], options.normalize == "rows"
    return Draw(z.to(condition.device), condition, model, dtype, normalize, pool)


def train(
    options: Options,
    model: ConditionalVAE,
    pairs: Pairs,
    judge: DropoutEnsemble | None,
    pool: Pool,
    progress: Callable[[FitProgress], object] | None,
) -> tuple[dict[str, Tensor], int, list[tuple[int, float]]]:
    """The state that is kept, its step, and all scores; without a judge the last state."""
    optimizer = torch.optim.Adam(model.parameters(), lr=options.learning_rate, fused=True)
    count = options.epochs * -(-len(pairs) // options.batch_size)
    best, early, kept_step = -np.inf, True, 0
    state: dict[str, Tensor] = {}
    history = []
    for step, chosen in enumerate(_batches(options, pairs), 1):
        loss = model.loss(pairs.rows(pairs.target[chosen]), pairs.rows(pairs.condition[chosen]))
        optimizer.zero_grad(set_to_none=False)
        loss.backward()
        optimizer.step()
        where = f"LocalAugmenter: the loss of step {step}"
        value = check_finite(where, float(loss.detach()), options.learning_rate)
        score, kept = None, False
        if judge is not None and (step % options.check_every == 0 or step == count):
            made = drawn(options, model, model.condition(pairs.x).detach(), pool, step)
            score = judge.uncertainty(made, str(options.rule), options.passes)
            history.append((step, score))
            # the first state behind the warm-up takes the place of any within it
            kept = score > best or (early and step > options.warmup)
            if kept:
                best, early = score, step <= options.warmup
                state, kept_step = _copy(model), step
                if not early:
                    judge.learn(made, options.refit_epochs)
        if progress is not None:
            progress(FitProgress(step, count, value, score, kept))
    return (state, kept_step, history) if judge is not None else (_copy(model), count, history)


def _batches(options: Options, pairs: Pairs) -> Iterator[NDArray[np.int64]]:
    for epoch in range(options.epochs):
        order = generator(options.seed, Purpose.GENERATOR, epoch).permutation(len(pairs))
        for at in range(0, len(pairs), options.batch_size):
            yield order[at : at + options.batch_size]


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: part.detach().clone() for name, part in model.state_dict().items()}
