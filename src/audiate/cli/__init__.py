"""The command line. Nothing here imports torch before a command needs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import tyro
from tyro.conf import OmitArgPrefixes, OmitSubcommandPrefixes, subcommand

from audiate.cli.activations import ActivationsCommand
from audiate.cli.bulk import BULK_COMMANDS, BulkCommands
from audiate.cli.codes import Codes
from audiate.cli.common import print_error
from audiate.cli.compare import Compare
from audiate.cli.data import FetchCommand, ListCommand, LookCommand
from audiate.cli.demo import Demo
from audiate.cli.draw import Draw
from audiate.cli.edit import EditCommand
from audiate.cli.evaluate import Evaluate, with_subcommand
from audiate.cli.export import Export
from audiate.cli.generate import Generate
from audiate.cli.imagine import Imagine
from audiate.cli.importing import ImportWaveGAN
from audiate.cli.invert import Invert
from audiate.cli.match import Match
from audiate.cli.measure import Measure
from audiate.cli.say import Say
from audiate.cli.train import Trainings
from audiate.errors import InputError, Interrupted
from audiate.utils.filesystem import terminated_like_interrupted
from audiate.version import __version__

_ABOUT = """Turn recorded sound into latent vectors, and those into images or sound.

Start with `audiate demo`, then `audiate draw your.wav`. Each command explains itself:
`audiate draw --help`."""


@dataclass(frozen=True)
class Data:
    """Get the data sets, or see what is there."""

    action: (
        Annotated[FetchCommand, subcommand("fetch")]
        | Annotated[ListCommand, subcommand("list")]
        | Annotated[LookCommand, subcommand("look")]
    )

    def run(self) -> int:
        """Run the command that was chosen, and return its exit status."""
        return self.action.run()


@dataclass(frozen=True)
class Train:
    """Train a model; `audiate train vae --help` lists a recipe's settings."""

    recipe: Trainings

    def run(self) -> int:
        """Run the command that was chosen, and return its exit status."""
        return self.recipe.run()


@dataclass(frozen=True)
class Bulk:
    """Work at archives of clips, in one process or on a Ray cluster, with nothing lost.

    The source is a folder, a pattern, a list of names (.txt), tar shards or Parquet files, on disk
    or at any address that fsspec knows (s3://, gs://, https://). A row for each clip goes to
    OUT/rows, as Parquet. `audiate bulk encode --help` tells the rest.
    """

    action: BulkCommands

    def run(self) -> int:
        """Run the command that was chosen, and return its exit status."""
        return self.action.run()


Commands = (
    Annotated[Draw, subcommand("draw")]
    | Annotated[Say, subcommand("say")]
    | Annotated[Imagine, subcommand("imagine")]
    | Annotated[Match, subcommand("match")]
    | Annotated[Generate, subcommand("generate")]
    | Annotated[Invert, subcommand("invert")]
    | Annotated[Compare, subcommand("compare")]
    | Annotated[Codes, subcommand("codes")]
    | Annotated[Measure, subcommand("measure")]
    | Annotated[EditCommand, subcommand("edit")]
    | Annotated[ActivationsCommand, subcommand("activations")]
    | Annotated[Bulk, subcommand("bulk")]
    | Annotated[Train, subcommand("train")]
    | Annotated[Evaluate, subcommand("evaluate")]
    | Annotated[Export, subcommand("export")]
    | Annotated[ImportWaveGAN, subcommand("import-wavegan")]
    | Annotated[Data, subcommand("data")]
    | Annotated[Demo, subcommand("demo")]
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit status: 0 where all is done, 1 where nobody reads the output any more, 2 for bad
        input, 130 after Ctrl-C or SIGTERM.

    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments == ["--version"]:
        print(f"audiate {__version__}")
        return 0
    try:
        return _run(arguments)
    except InputError as error:
        print_error(error)
        return 2
    except Interrupted as stopped:
        print(f"{stopped}, and saved. To go on, run the same command again", file=sys.stderr)
        return 130
    except KeyboardInterrupt:
        print("audiate: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read the output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def parse(arguments: Sequence[str]) -> Any:
    """Read the words after ``audiate``, and return the command that they name; it is not run.

    Raises:
        SystemExit: Help was asked for (code 0), or there is no such command or flag (code 2).
        InputError: A value is out of range.

    """
    config = (OmitArgPrefixes, OmitSubcommandPrefixes)
    first, *rest = arguments or [""]
    if first == "bulk" and rest[:1] not in (["-h"], ["--help"]):
        return _parse_bulk(rest, config)
    return tyro.cli(
        Commands,
        prog="audiate",
        description=_ABOUT,
        args=with_subcommand(arguments),
        config=config,
    )


def _parse_bulk(arguments: Sequence[str], config: Sequence[Any]) -> Any:
    """Read what follows ``audiate bulk``; what is said of mistakes is about the command alone."""
    known = ", ".join(BULK_COMMANDS)
    name, *rest = arguments or [""]
    if name not in BULK_COMMANDS:
        told = f"bulk {name}: no such command" if name else "bulk: no command is named"
        print_error(InputError(f"{told}; give one of {known}, as `audiate bulk --help` tells"))
        raise SystemExit(2)
    return tyro.cli(BULK_COMMANDS[name], prog=f"audiate bulk {name}", args=rest, config=config)


def _run(arguments: Sequence[str]) -> int:
    with terminated_like_interrupted():
        status: int = parse(arguments).run()
        sys.stdout.flush()  # here, so that a closed pipe is noticed here
        return status
