"""`LocalAugmenter`: fit a generator of features on the edges of a store, draw from it, keep it, attach it to models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ...graphlib.checkpoints import check_arrays, load_checkpoint, save_checkpoint
from ...graphlib.compute.streams import Purpose, root_of
from ...graphlib.errors import IndexMismatch, InvalidInput, NotFitted, StoreCorrupt
from ...graphlib.given_store import check_store
from ...graphlib.scalars import integer
from ..nodes.data import NodeData
from ..nodes.features import Features, as_features, shape_of
from ..sparse.propagation import neighbor_sets, normalised
from ..threads import steady
from .cvae import ConditionalVAE
from .fitting import drawn, train
from .generated import Draw, Pool
from .options import FitProgress, Options
from .pairs import Pairs, column_of, fingerprint
from .uncertainty import DropoutEnsemble

if TYPE_CHECKING:
    from ...graphlib.store.store import GraphStore
    from .augmented import Augmented


class LocalAugmenter:
    """Features generated from the distribution of neighbours' features (local augmentation).

    A conditional variational autoencoder learns p(x_u | x_v) from the edges (v, u). Its samples given every node's own
    features are a second feature matrix, which is what a thin neighbourhood lacks.

    Parameters
    ----------
    latent : int >= 1, default 10
    hidden : int >= 1, default 256
    epochs : int >= 1, default 10
        Passes over the directed edges.
    batch_size : int >= 1, default 64
        Edges per step.
    learning_rate : float > 0, default 0.01
        Of Adam.
    decoder : {"bernoulli", "gaussian"}, default "bernoulli"
        For features in [0, 1], and for any.
    rule : {"released", "paper", None}, default "released"
        How the state of the generator is picked, see Notes; None keeps the last.
    check_every : int >= 1, default 10
        Steps between two scores.
    passes : int >= 2, default 20
        Dropout passes per score.
    warmup : int >= 0, default 200
        Steps before the first state that may be kept. A fit of fewer steps keeps the best it saw.
    refit_epochs : int >= 0, default 20
        Epochs that the scoring classifier is trained on the features of every state that is kept.
    precision : {"float32", "bfloat16", "auto"}, default "float32"
        Of the last product of a draw, which takes most of its time. "bfloat16" is several times faster on processors
        with instructions for it, and much slower on others; "auto" takes it where they have them.
    normalize : {"rows", None}, default "rows"
        Whether rows of generated features are divided by their sum.
    seed : int, default 0

    Attributes
    ----------
    model : ConditionalVAE
    history : list of (int, float)
        Step and score of every state that was scored.
    kept_step : int

    Notes
    -----
    **Transductive**: the generator reads all edges and the features of all nodes, those of test nodes too, as the paper
    does. Labels are read of training nodes only, and only by the rule.

    **The rule.** Every `check_every` steps features are drawn, and a GCN, trained on the given ones, classifies them
    `passes` times with dropout on. The paper keeps the state with the largest mutual information between class and
    mask (passes disagree most); the released code maximises a quantity of the other sign on training nodes (passes
    agree most). Both are here; the default is that of the released code.

    **Time**: a step O(batch F hidden), a draw O(n hidden F); the product of conditions and the first layer is computed
    once. Of the features a batch of rows is dense, never the matrix, and no table of pairs is made.

    **Determinism**: the same seed gives the same bits at any number of threads.

    Differences from the paper: the released code scores after every step with 100 passes; a score here takes 20 passes,
    every 10 steps. States of the warm-up do not set the mark that later ones have to pass.

    References
    ----------
    S. Liu et al., "Local Augmentation for Graph Neural Networks", ICML 2022, arXiv:2109.03856.

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> from nearhop.gnn import LocalAugmenter
    >>> store = nearhop.GraphStore.from_edges(np.arange(30), (np.arange(30) + 1) % 30)
    >>> store.nodes["x"] = np.eye(3, dtype=np.float32)[np.arange(30) % 3]
    >>> augmenter = LocalAugmenter(rule=None, epochs=2).fit(store, "x")
    >>> drawn = augmenter.sample(2, seed=1)
    >>> tuple(drawn.shape), bool(torch.allclose(drawn.sum(2), torch.tensor(1.0)))
    ((2, 30, 3), True)
    """

    def __init__(
        self,
        *,
        latent: int = 10,
        hidden: int = 256,
        epochs: int = 10,
        batch_size: int = 64,
        learning_rate: float = 0.01,
        decoder: str = "bernoulli",
        rule: str | None = "released",
        check_every: int = 10,
        passes: int = 20,
        warmup: int = 200,
        refit_epochs: int = 20,
        precision: str = "float32",
        normalize: str | None = "rows",
        seed: int = 0,
    ) -> None:
        self.options = Options(
            latent, hidden, epochs, batch_size, learning_rate, decoder, rule, check_every, passes, warmup, refit_epochs,
            precision, normalize, seed,
        )  # fmt: skip
        self.history: list[tuple[int, float]] = []
        self.kept_step = 0
        self.column = ""
        self._model: ConditionalVAE | None = None
        self._pool = Pool()

    @property
    def model(self) -> ConditionalVAE:
        if self._model is None:
            raise NotFitted("LocalAugmenter: call fit or load first")
        return self._model

    def fit(
        self,
        store: GraphStore,
        column: str = "x",
        *,
        data: NodeData | None = None,
        progress: Callable[[FitProgress], object] | None = None,
    ) -> LocalAugmenter:
        """Learn from a store's edges and a node column (n, F).

        Parameters
        ----------
        store : GraphStore
            The direction of edges, parallel edges and self-loops do not count.
        column : str, default "x"
            The raw features: the condition is not normalised.
        data : NodeData, optional
            Whose training labels the rule reads; by default those of the store's columns y, train_mask, ...
        progress : callable, optional

        Raises
        ------
        InvalidInput
            No such column, features outside [0, 1] for "bernoulli", a graph without edges, a rule without labels.
        TrainingDiverged
            The loss is not finite any more.
        """
        check_store(store)
        options = self.options
        x = column_of(store, column, options.decoder)
        neighbors = neighbor_sets(store)
        pairs = Pairs(x, neighbors)
        if options.rule is not None and data is None:
            if "train_mask" not in store.nodes:
                raise InvalidInput(
                    f"rule={options.rule!r} reads the labels of training nodes, which the store does not have; give "
                    "data=NodeData(...), or rule=None, which keeps the last state"
                )
            data = NodeData.from_store(store)
        if options.rule is not None and data is not None and (data.num_nodes != shape_of(x)[0] or not data.train.size):
            raise InvalidInput(
                f"rule={options.rule!r} reads the labels of training nodes of the store's {shape_of(x)[0]} nodes; got "
                f"{data!r}"
            )
        with steady(), torch.random.fork_rng([]):
            torch.manual_seed(root_of(options.seed, Purpose.GENERATOR))
            model = ConditionalVAE(
                shape_of(x)[1], hidden=options.hidden, latent=options.latent, decoder=options.decoder
            )
            judge = None
            if options.rule is not None and data is not None:
                judge = DropoutEnsemble(as_features(x), normalised(neighbors, "gcn"), data)
            state, self.kept_step, self.history = train(options, model, pairs, judge, self._pool, progress)
        model.load_state_dict(state)
        self._use(model, x, column)
        return self

    def _use(self, model: ConditionalVAE, x: Features, column: str) -> None:
        self._model = model.eval().requires_grad_(False)
        self.column = column
        self._shape, self._fingerprint = shape_of(x), fingerprint(x)
        with torch.no_grad():
            self._condition = model.condition(x)

    def draw(self, number: int) -> Draw:
        """Generated features of this number, whatever was drawn before, as an operand: `draw @ W`, `draw.dense()`."""
        model = self.model
        with steady():
            return drawn(self.options, model, self._condition, self._pool, 0, number)

    def sample(self, k: int = 1, seed: int = 0) -> Tensor:
        """k matrices of generated features.

        Parameters
        ----------
        k : int >= 1
        seed : int, default 0
            Matrix i of a seed is the same for every k.

        Returns
        -------
        Tensor (k, n, F), float32
            k n F 4 bytes; `draw` gives one at a time, without ever holding all of its rows.
        """
        count = integer("k", k, 1)
        with steady():
            return torch.stack([self.draw(root_of(seed, Purpose.GENERATED, i)).dense() for i in range(count)])

    @property
    def shape(self) -> tuple[int, int]:
        """(n, F) of the column."""
        _ = self.model
        return self._shape

    def save(self, path: str) -> None:
        """Write the generator to one `.npz` file, replacing it at once: its weights and what it was fitted on.

        The features themselves are not in it; `load` takes them from the store.
        """
        arrays = {name: part.numpy() for name, part in self.model.state_dict().items()}
        facts = {
            "options": asdict(self.options),
            "column": self.column,
            "shape": list(self._shape),
            "fingerprint": self._fingerprint,
            "history": self.history,
            "kept_step": self.kept_step,
        }
        save_checkpoint(path, arrays, facts)

    @classmethod
    def load(cls, path: str, store: GraphStore, column: str | None = None) -> LocalAugmenter:
        """Read a generator, for the column that it was fitted on.

        Parameters
        ----------
        path : str
        store : GraphStore
        column : str, optional
            By default of the name that it had.

        Raises
        ------
        StoreMissing, StoreCorrupt
            There is no such file, or it is not a whole generator.
        IndexMismatch
            The column holds other features than those that the generator was fitted on.
        """
        check_store(store)
        arrays, facts = load_checkpoint(path)
        try:
            made = cls(**facts["options"])
            shape = tuple(int(part) for part in facts["shape"])
            known, name = str(facts["fingerprint"]), str(facts["column"])
            history = [(int(step), float(score)) for step, score in facts["history"]]
            kept = integer("kept_step", facts["kept_step"], 0)
        except (KeyError, TypeError, ValueError) as error:
            raise StoreCorrupt(f"{path} is not a whole generator: {error}") from error
        x = column_of(store, column or name, made.options.decoder)
        if shape != shape_of(x) or known != fingerprint(x):
            raise IndexMismatch(
                f"{path} generates features like those of a column {name!r} of shape {shape}; column "
                f"{column or name!r} of this store, of shape {shape_of(x)}, holds others. Fit a generator on it"
            )
        options = made.options
        sizes: dict[str, Any] = {"hidden": options.hidden, "latent": options.latent, "decoder": options.decoder}
        with torch.device("meta"):  # sizes are believed, and memory taken, once the arrays have them
            like = ConditionalVAE(shape[1], **sizes).state_dict()
        check_arrays(path, arrays, {key: np.broadcast_to(np.float32(0), part.shape) for key, part in like.items()})
        model = ConditionalVAE(shape[1], **sizes)
        model.load_state_dict({key: torch.from_numpy(part) for key, part in arrays.items()})
        made._use(model, x, column or name)
        made.history, made.kept_step = history, kept
        return made

    def wrap(self, model: nn.Module, x: Any, *inputs: Any, **options: Any) -> Augmented:
        """A model that reads generated features beside `x`; see `Augmented` for the ways and options.

        Parameters
        ----------
        model : torch.nn.Module
            Called as `model(features, *inputs)`, such as one of `gnn.nodes.models` or of PyG.
        x : SparseTensor, Tensor or array (n, F)
            The features as the model reads them, usually normalised: `nearhop.gnn.nodes.as_features(...)`.
        *inputs
            What else it is called with: an adjacency, an edge index.
        **options
            `how`, `branches`, `samples`, `consistency`, `temperature`, `draws`, `judged_on`.

        Returns
        -------
        Augmented
            A `NodeModel` for `NodeTrainer`.
        """
        from .augmented import Augmented

        return Augmented(self, model, x, *inputs, **options)

    def __repr__(self) -> str:
        if self._model is None:
            return "LocalAugmenter(not fitted)"
        return f"LocalAugmenter(column {self.column!r}, {self._shape[0]:,} x {self._shape[1]:,}, step {self.kept_step})"
