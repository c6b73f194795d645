"""Words of the command line that name seeds and edge types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from ..graphlib.errors import InvalidInput

if TYPE_CHECKING:
    from numpy.typing import NDArray


Unweighted = typer.Option(False, "--unweighted", help="Count every edge as one; signed weights need it.")


def parse_seeds(text: str, ids: NDArray[Any] | None) -> list[Any]:
    """Words separated by commas, as the ids of the store are: integers (also where it has none) or texts."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if ids is not None and ids.dtype.kind not in "iu":
        return words
    try:
        return [int(word) for word in words]
    except ValueError as error:
        raise InvalidInput(f"the ids of this store are integers, separated by commas; got seeds {text!r}") from error


def parse_edge_type(text: str | None) -> tuple[str, str, str] | None:
    """source,name,destination."""
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    if len(words) != 3 or not all(words):
        raise InvalidInput(f"--edge-type takes source,name,destination such as user,buys,item; got {text!r}")
    return words[0], words[1], words[2]
