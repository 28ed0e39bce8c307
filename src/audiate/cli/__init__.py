"""The command line, which imports the module of the command that is called and no other."""

from __future__ import annotations

import gc
import os
import re
import sys
from collections.abc import Iterable, Sequence
from contextlib import redirect_stderr
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from inspect import cleandoc, getdoc
from io import StringIO
from itertools import chain
from shutil import get_terminal_size
from textwrap import fill
from typing import TYPE_CHECKING, Any, NamedTuple

from audiate.errors import InputError, Interrupted, with_flags
from audiate.utils.filesystem import terminated_like_interrupted
from audiate.version import __version__

if TYPE_CHECKING:
    from audiate.cli.common import Group

_HELP = ("-h", "--help")
_ABOUT = """usage: audiate COMMAND [FLAGS]

Turn recorded sound into numbers (latents), and these into images or sound.
Start with `audiate demo`, then `audiate draw your.wav`.
"""


class Command(NamedTuple):
    """A line of the table of commands.

    Attributes:
        name: The word after ``audiate``.
        sentence: What it does.
        module: Its module in ``audiate.cli``. Where that is deleted, there is no such command.
        attribute: Its dataclass in that module, or its `audiate.cli.common.Group` of commands.

    """

    name: str
    sentence: str
    module: str
    attribute: str


TABLE = {
    "sound to image": (
        Command("demo", "Draw ten clips that come with audiate.", "demo", "Demo"),
        Command("draw", "Draw the digit that is spoken in each clip.", "draw", "Draw"),
        Command("match", "Rank images for every sound, and sounds for images.", "match", "Match"),
    ),
    "image to sound": (
        Command("say", "Say the digit that is written in each image.", "say", "Say"),
        Command("imagine", "Make new pairs of a sound and an image.", "imagine", "Imagine"),
    ),
    "recover latents": (
        Command("invert", "Find the latent of each clip.", "invert", "Invert"),
        Command("compare", "Score reconstructions of clips.", "compare", "Compare"),
    ),
    "study generators": (
        Command("generate", "Generate sounds from latents.", "generate", "Generate"),
        Command("codes", "Show which words a generator's codes stand for.", "codes", "Codes"),
        Command("measure", "Measure pitch, formants and more with Praat.", "measure", "Measure"),
        Command("edit", "Change pitch, loudness or length of a clip.", "edit", "EditCommand"),
        Command("activations", "Plot the layers of a network.", "activations", "Activations"),
    ),
    "train and evaluate": (
        Command("data", "Download data sets, or look at a folder.", "data", "DATA"),
        Command("train", "Train a model by a recipe.", "train", "TRAIN"),
        Command("evaluate", "Print the papers' tables.", "evaluate", "EVALUATE"),
    ),
    "archives": (
        Command("bulk", "Process archives of clips, also on a Ray cluster.", "bulk", "BULK"),
    ),
    "tools": (
        Command("export", "Write a model as an ONNX file.", "export", "Export"),
        Command("import-wavegan", "Convert published checkpoints.", "importing", "ImportWaveGAN"),
    ),
}
"""All commands in groups, in the order of the help."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit status: 0 where all is done, 1 where the reader has closed the output, 2 for bad
        input, 130 after Ctrl-C or SIGTERM.

    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        with terminated_like_interrupted():
            command = parse(arguments)
            if getattr(command, "needs_torch", True):
                _import_torch()
            status: int = command.run()
            sys.stdout.flush()  # here, so that a closed pipe is noticed here
            return status
    except InputError as error:
        print(f"audiate: error: {with_flags(str(error))}", file=sys.stderr)
        return 2
    except Interrupted as stopped:
        saved = "" if str(stopped).startswith("stopped after 0 ") else ", and saved"
        print(f"{stopped}{saved}. To go on, run the same command again", file=sys.stderr)
        return 130
    except KeyboardInterrupt:
        print("audiate: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader has closed the output
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _import_torch() -> None:
    """Import PyTorch without looking for garbage among its objects, now or when Python ends.

    It makes so many that the search takes as long as drawing a digit.
    """
    if "torch" not in sys.modules:
        gc.disable()
        import_module("torch")
        gc.freeze()
        gc.enable()


def parse(arguments: Sequence[str]) -> Any:
    """Read the words after ``audiate``, and return the command that they name; it is not run.

    Raises:
        SystemExit: Help or the version was printed (code 0), or there is no such command or flag
            (code 2).
        InputError: A value is out of range.

    """
    commands = {row.name: row for row in chain(*TABLE.values()) if _is_there(row)}
    name, *rest = arguments or [""]
    if name in ("", *_HELP):
        print(_overview(), file=sys.stdout if name else sys.stderr)
        raise SystemExit(0 if name else 2)
    if name == "--version":
        print(f"audiate {__version__}")
        raise SystemExit
    row = commands[_known(name, commands)]
    command = getattr(import_module(f"{__name__}.{row.module}"), row.attribute)
    if hasattr(command, "commands"):
        return _parse_group(command, name, rest)
    return _parse_flags(command, name, rest)


def _parse_group(group: Group, prog: str, words: Sequence[str]) -> Any:
    """Read the words after a command that has commands of its own."""
    name, *rest = words or [""]
    if name in ("", *_HELP):
        if not name:
            print(f"audiate: error: {prog}: no command is named", file=sys.stderr)
        print(_listing(group, prog), file=sys.stdout if name else sys.stderr)
        raise SystemExit(0 if name else 2)
    if name not in group.commands and group.default:
        return _parse_flags(group.commands[group.default], f"{prog} {group.default}", words, prog)
    command = group.commands[_known(name, group.commands, f"{prog} ")]
    return _parse_flags(command, f"{prog} {name}", rest)


def _parse_flags(command: Any, prog: str, words: Sequence[str], typed: str = "") -> Any:
    """Read flags into a dataclass, which is given as such or as an instance with the defaults.

    ``prog`` are the words that name the command, and ``typed`` those that the user gave for it.
    """
    import tyro

    from audiate.cli.common import OPTIONAL

    config = (tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes)
    # Given here, as tyro takes a tenth of a second to find the description in a docstring.
    named: dict[str, Any] = {"description": getdoc(command)}
    if not isinstance(command, type):
        named = {"default": command, "description": command.description}
        command = type(command)
    told = StringIO()
    try:
        with redirect_stderr(told), OPTIONAL:
            return tyro.cli(command, prog=f"audiate {prog}", args=words, config=config, **named)
    except SystemExit as stop:
        if stop.code:
            problem = _in_one_line(told.getvalue())
            remedy = f"`audiate {prog} --help` explains its flags"
            print(f"audiate: error: {typed or prog}: {problem}; {remedy}", file=sys.stderr)
        raise


def _in_one_line(box: str) -> str:
    """The error that tyro shows in a box, and the flag that it suggests."""
    lines = [line.strip("│ ") for line in box.splitlines()[1:]]  # without its title
    parts = re.split(r"(?:^| )[─╰╯-]{9,}(?: |$)", " ".join(lines))
    error, *more = [part.strip() for part in parts if part.strip()] or [""]
    near = re.search(r"Perhaps you meant.*?(--[\w-]+)", " ".join(more))
    return _plain(error.rstrip(" .")) + (f"; did you mean {near[1]}?" if near else "")


def _plain(error: str) -> str:
    """An error of tyro in our words; another one as it is."""
    if found := re.match(r"Unrecognized options: (.*)", error):
        words = found[1].split(", ")
        flags = [word for word in words if word.startswith("-")]
        if flags:
            return f"{', '.join(flags)}: no such flag"
        more = f" and {len(words) - 3} more" if len(words) > 3 else ""
        listed = f"{', '.join(words[:3])}{more}"
        return f"{listed}: not expected here; leave it out, or name a folder in place of files"
    if found := re.match(r"Error parsing (\S+): .*'(.*)'", error):
        kind = "whole number" if re.search(r"INT|int\(\)", error) else "number"
        return f"{found[1]} {found[2]}: give a {kind}"
    if found := re.match(r"Missing value for argument '(\S+)'", error):
        return f"{found[1]}: give a value"
    if found := re.match(r"Missing from audiate .*?: (\S+)", error):
        return f"{found[1]} is missing"
    if found := re.match(r"invalid choice '(.*)' for argument '(\S+)'. Expected.*\((.*)\)", error):
        known = sorted({choice.strip("' ") for choice in found[3].split(",")} - {""})
        return f"{found[2]} {found[1]}: give one of {', '.join(known)}"
    return error


def _known(name: str, names: Iterable[str], group: str = "") -> str:
    """Return the name of a command; end with an error that names the nearest one if it is none."""
    names = list(names)
    if name in names:
        return name
    near = get_close_matches(name, names, n=1)
    remedy = f"did you mean {near[0]}?" if near else f"give one of {', '.join(names)};"
    remedy += f" `audiate {group}--help` explains them"
    print(f"audiate: error: {group}{name}: no such command; {remedy}", file=sys.stderr)
    raise SystemExit(2)


def _is_there(command: Command) -> bool:
    return find_spec(f"{__name__}.{command.module}") is not None


def _overview() -> str:
    """The help of ``audiate``: a line for each command, in groups."""
    lines = [_ABOUT]
    for group, commands in TABLE.items():
        if there := [command for command in commands if _is_there(command)]:
            lines += [f"{group}:", *(f"  {each.name:<15} {each.sentence}" for each in there)]
    return "\n".join([*lines, "", "`audiate COMMAND --help` explains a command and its flags."])


def _listing(group: Group, prog: str) -> str:
    """The help of a command that has commands of its own: the first sentence of each."""
    lines = [f"usage: audiate {prog} {group.noun} [FLAGS]", "", cleandoc(group.about), ""]
    width = max(map(len, group.commands)) + 4
    columns = min(get_terminal_size().columns, 100)
    for name, command in group.commands.items():
        about = getdoc(command) if isinstance(command, type) else command.description
        text = f"  {name:<{width - 2}}{str(about).splitlines()[0]}"
        lines.append(fill(text, columns, subsequent_indent=" " * width))
    return "\n".join([*lines, "", f"`audiate {prog} {group.noun} --help` explains its flags."])
