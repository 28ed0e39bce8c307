"""Arguments that several commands share, groups of commands, and messages of errors."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional, get_args

from tyro.conf import Positional, arg
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
)

from audiate.errors import InputError, with_flags

if TYPE_CHECKING:
    from audiate.folders.runner import FolderReport


def several(metavar: str, description: str) -> Any:
    """Describe an argument of which at least one is needed, by position."""
    return arg(metavar=metavar, help_behavior_hint="(required)", help=description)


def required(metavar: str) -> Any:
    """Describe an argument that is needed, by position; the command says where it is missing."""
    return arg(metavar=metavar, help_behavior_hint="(required)")


class Paths(tuple[Path, ...]):
    """Paths that a command takes by their position.

    It is a class, since tyro checks `tuple[Path, ...]` by typeguard, which takes long to import.
    """


PATHS = PrimitiveConstructorSpec[Paths](
    nargs="*",
    metavar="",
    instance_from_str=lambda words: Paths(map(Path, words)),
    is_instance=lambda value: isinstance(value, tuple),
    str_from_instance=lambda value: list(map(str, value)),
)

OPTIONAL = ConstructorRegistry()
"""Shows the flag of a value or None by the kind of the value alone, such as INT."""


@OPTIONAL.primitive_rule
def _optional(info: PrimitiveTypeInfo) -> Any:
    """Parse the value; None stands for a flag that is not given, and has no spelling."""
    kinds = [kind for kind in get_args(info.type) if kind is not NoneType]
    if len(kinds) != 1 or len(get_args(info.type)) != 2:
        return None
    spec = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(kinds[0], info.markers))
    if not isinstance(spec, PrimitiveConstructorSpec):
        return spec
    shown = spec.str_from_instance
    return replace(
        spec,
        is_instance=lambda value: value is None or spec.is_instance(value),
        str_from_instance=lambda value: ["not", "given"] if value is None else shown(value),
    )


Clips = Positional[
    Annotated[
        Paths,
        PATHS,
        several("CLIP...", "Sound files (wav, flac, ogg, mp3), or folders of them."),
    ]
]
"""Sound files, which a command takes by their position."""

Model = Positional[Annotated[str, arg(metavar="MODEL")]]
"""A model's name, which a command takes by its position."""

Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"],
    arg(help="Device to compute on. auto is a CUDA GPU where there is one, else the CPU."),
]
"""The device on which a command computes."""


# Optional, since tyro checks defaults of `str | None` by typeguard, which takes long to import.
Classifier = Annotated[
    Optional[str],  # noqa: UP045
    PrimitiveConstructorSpec[str | None](
        nargs=1,
        metavar="STR",
        instance_from_str=lambda words: None if words[0] == "none" else words[0],
        is_instance=lambda value: value is None or isinstance(value, str),
        str_from_instance=lambda value: [value or "none"],
    ),
]
"""A classifier, of which the command line spells None as none."""

DataDir = Annotated[
    Path | None,
    arg(help="Folder of the data sets. Default: AUDIATE_DATA, else the user's cache folder."),
]
"""The folder of all data sets."""


@dataclass(frozen=True)
class Group:
    """Commands below a command, as in ``audiate data fetch``.

    Attributes:
        about: What they have in common.
        commands: For each name a dataclass with a method `run`, or an instance of one that holds
            the defaults and has a `description`.
        default: The command that is meant where none is named.
        noun: The word that stands for their names in the help.

    """

    about: str
    commands: Mapping[str, Any]
    default: str | None = None
    noun: str = "COMMAND"


def keywords(command: object, *left_out: str) -> dict[str, Any]:
    """The flags of a command as keyword arguments, but for some."""
    return {name: value for name, value in vars(command).items() if name not in left_out}


_READ_LINES = 20  # clips whose results are printed


def print_results(
    report: FolderReport[Any], out: Path, doubtful: Callable[[Any], bool] = lambda _: False
) -> None:
    """Print the results of the first clips: new ones before others, and doubtful ones first."""
    from audiate.data.folders import REPORT_NAME

    found, new = report.results, set(report.new)
    read = sorted(found, key=lambda name: (name not in new, not doubtful(found[name])))
    for name in read[:_READ_LINES]:
        print(f"{report.shown(name)}: {found[name]}")
    if len(read) > _READ_LINES:
        print(f"and {len(read) - _READ_LINES} more: see {out / REPORT_NAME}")


def print_error(error: InputError) -> None:
    """Print an error on standard error, as the command line spells arguments."""
    print(f"audiate: error: {with_flags(str(error))}", file=sys.stderr)
