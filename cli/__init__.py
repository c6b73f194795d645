"""The `nearhop` command: graphs in, indexes and embeddings out, without a line of Python.

Results go to standard output, everything else to standard error. Commands import what they need when they run, so
`nearhop --help` is quick.
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from typing import TextIO

import typer

from ..graphlib.errors import NearhopError, StoreCorrupt, StoreLocked
from . import (
    append_command,
    block_command,
    community_commands,
    datasets_commands,
    demo_command,
    embed_commands,
    index,
    ingest_command,
    local_commands,
    store_commands,
    warm,
)
from .output import note, one_line, printable

EPILOG = (
    "Every command takes --json for one JSON value on standard output, and --debug for the traceback of an error. "
    "Exit codes: 0 done, 1 unexpected error, 2 wrong usage, 3 bad input, or a file or folder that cannot be used, "
    "4 damaged file, 5 the store is being changed by another process, 130 interrupted, 141 the reader of a pipe left."
)

_INTERRUPTED, _PIPE_CLOSED = 130, 141

app = typer.Typer(
    name="nearhop",
    help="Graph learning and retrieval over one graph store.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(no_args_is_help=True)(ingest_command.ingest)
app.command(no_args_is_help=True)(append_command.append)
store_commands.register(app)
app.command("block", no_args_is_help=True)(block_command.block)
app.add_typer(embed_commands.app, name="embed")
app.add_typer(index.app, name="index")
community_commands.app.command("local", no_args_is_help=True)(local_commands.local)
app.add_typer(community_commands.app, name="community")
app.add_typer(datasets_commands.app, name="datasets")
demo_command.register(app)
warm.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        typer.echo(f"nearhop {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    pass


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in words
    warnings.showwarning = _warn
    sys.exit(_run([word for word in words if word != "--debug"], debug=debug))


def _run(words: list[str], *, debug: bool) -> int:
    output = sys.stdout
    try:
        outcome = app(words, standalone_mode=False, prog_name="nearhop")
        done = outcome if isinstance(outcome, int) else 0
        output.flush()
    except (KeyboardInterrupt, typer.Abort):
        done = _INTERRUPTED
    except (BrokenPipeError, SystemExit):  # the reader of a pipe, such as head, has seen enough; Typer and Rich exit
        return _without_reader(output)
    except Exception as error:
        if isinstance(code := getattr(error, "exit_code", None), int):  # a mistake in how the command was called
            error.message = one_line(getattr(error, "message", ""))  # type: ignore[attr-defined]
            error.show()  # type: ignore[attr-defined]
            return code
        if debug:
            raise
        known = isinstance(error, NearhopError | OSError)  # a file that may not be read, a name that is no folder
        typer.echo(f"error: {_one_line(error)}" + ("" if known else "  (--debug shows where)"), err=True)
        if isinstance(error, StoreCorrupt):
            return 4
        if isinstance(error, StoreLocked):
            return 5
        return 3 if known else 1
    if done == _INTERRUPTED:  # Typer may have turned the interrupt into this code already
        typer.echo("interrupted; nothing was left half-written", err=True)
    return done


def _warn(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    note(str(message) if issubclass(category, UserWarning) else f"{category.__name__}: {message}")


def _without_reader(output: TextIO) -> int:
    """Leave as a program that the closing of its pipe ends; what is still buffered goes nowhere, silently."""
    sys.stdout = output
    with contextlib.suppress(OSError, ValueError):  # a stream without a descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, output.fileno())
        os.close(nowhere)
    return _PIPE_CLOSED


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and not isinstance(error, NearhopError) and error.strerror:
        named = [str(name) for name in (error.filename, error.filename2) if name is not None]
        return printable(": ".join([" -> ".join(named), error.strerror] if named else [error.strerror]))
    text = printable(" ".join(str(error).split()))
    return text if isinstance(error, NearhopError) else f"{type(error).__name__}: {text}"
