"""What the README, the documentation and the model cards show works as it is shown.

Pages are found by themselves. Blocks of Python run, those of a page one after the other, where
`seven.wav` and `recordings/` are. Lines that begin with ``audiate``, in blocks and in the text, are
read by the real command line, and those of some pages run.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import matplotlib
import pytest
import torch
from conftest import write_tone

import audiate
from audiate import export
from audiate.cli import main, parse
from audiate.cli.demo import CLIPS_FOLDER
from audiate.models import hub
from audiate.phonetics.word_classifier import train_word_classifier

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
if not DOCS.is_dir():
    pytest.skip("the documentation is in the repository and in source distributions", True)

TEXTS = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in sorted(
        {*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "packages").rglob("*.md")}
        | {*(ROOT / "src").rglob("*.md"), *(ROOT / "web").glob("*.md")}
    )
}

BLOCK = re.compile(r"^```([^\n`]*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
FILE = re.compile(r"\A# ([\w/]+\.py)\n")
"""A block that begins with a file's name is that file."""

QUICKER = {
    "docs/inversion.md": [('"hybrid", classifier', '"hybrid", max_iterations=2, classifier')],
    "docs/inverting-drums.md": [
        *(
            ("torch.rand(40, 4)", "torch.rand(16, 4)"),
            ("steps=40, batch_size=16", "steps=4, batch_size=8"),
        ),
        *(("max_iterations=10)", "max_iterations=4)"), ("max_iterations=30)", "max_iterations=8)")),
        ("max_iterations=50)", "max_iterations=10)"),
    ],
    "docs/own-pairs.md": [
        *(
            ('Path("pairs"), 40', 'Path("pairs"), 12'),
            ('Path("unheard"), 10', 'Path("unheard"), 2'),
        ),
        ("--ears none", "--ears none --epochs 1"),
        ("--batch-size 32", "--batch-size 32 --epochs 1"),
        ("--steps 300 --preview-every 150", "--steps 2 --preview-every 2"),
        ("--epochs 2 --out runs/say", "--epochs 1 --out runs/say"),
    ],
}
"""What is cut down so that the tests stay quick, in the blocks of a page."""

SHORT_FLOW = "--steps 2 --width 64 --blocks 1 --variants 1"
TUTORIALS = {
    "docs/synthesised-words.md": [
        *(
            ("range(12)", "range(2)"),
            (" robot sugar twenty umbrella window yellow", ""),
            ('"kal16": 105, "rms": 95, ', ""),
            ("--count 24", "--count 9"),
        ),
        ("--codes 10", f"--codes 4 {SHORT_FLOW}"),
        ("--out codes", "--out codes --count 4 --judged 0"),
    ],
    "docs/drum-machine.md": [
        ("/usr/share/hydrogen/data/drumkits", "kits"),
        ("--dim 32", "--dim 2"),
        ("--n-fft 1024 --steps 750", "--steps 2"),
        ("hat_09", "hat_01"),
    ],
    "docs/emoji.md": [
        ("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf", "sans.ttf"),
        ('VOICES = ["m1", "m2", "m3", "m4", "m5", "m6", "m7"', 'VOICES = ["m1", "m7"'),
        ('"f1", "f2", "f3", "f4", "f5"]', '"f5"]'),
        ("--epochs 6", "--epochs 1 --image-size 28 --image-channels 3"),
    ],
}
NOTEBOOK = "examples/tutorials.ipynb"
TUTORIALS[NOTEBOOK] = [
    ("range(8)", "range(2)"),
    ("--count 16", "--count 4"),
    ("--steps 500", SHORT_FLOW),
    ("--steps 200", "--steps 2"),
    ("--dim 16", "--dim 2"),
    ("--epochs 3", "--epochs 1 --image-channels 3"),
    ("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf", "sans.ttf"),
    ("/usr/share/hydrogen/data/drumkits", "kits"),
]
"""Pages, and a notebook, of which all runs, Python and commands in turn, and what is cut down."""

RUN = {"docs/own-recordings.md", "docs/own-generator.md"}
"""Pages whose commands run; of the others, tests of the commands run the like."""

PLACEHOLDERS = {"RECIPE": "vae", "COMMAND": "draw", "autoencoder": "vae"}


def blocks(text: str, *languages: str) -> list[str]:
    return [block for language, block in BLOCK.findall(text) if language in languages]


def lines(text: str) -> Iterator[str]:
    """Lines of shell, in blocks and in the text, without their comments."""
    shell = "".join(blocks(text, "", "sh", "bash", "console")).replace("\\\n", " ")
    for line in (*shell.splitlines(), *SPAN.findall(BLOCK.sub("", text))):
        yield line.split(" #")[0].strip().removeprefix("$ ").removeprefix(".venv/bin/")


def commands(text: str) -> list[list[str]]:
    """The words after ``audiate`` of every command."""
    found = []
    for line in lines(text):
        if match := re.match(r"(?:torchrun .* -m )?audiate (.*)", line):
            words = [PLACEHOLDERS.get(word, word) for word in shlex.split(match[1])]
            choices = max((word.count("|") for word in words), default=0) + 1
            for at in range(choices):  # one|other is two commands
                found.append([word.split("|")[at] if "|" in word else word for word in words])
    return [words for at, words in enumerate(found) if words not in found[:at]]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a reader: `seven.wav`, `recordings/`, two generators as files."""
    (tmp_path / "recordings").mkdir()
    shutil.copy(CLIPS_FOLDER / "seven-rms.flac", tmp_path / "seven.wav")
    shutil.copy(CLIPS_FOLDER / "one-kal.flac", tmp_path / "recordings" / "one.flac")
    shutil.copy(CLIPS_FOLDER / "two-female.flac", tmp_path / "recordings" / "two.flac")
    monkeypatch.chdir(tmp_path)
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(tmp_path):
            del sys.modules[name]


def write_generators(folder: Path) -> None:
    """A generator of 128 numbers as TorchScript and as ONNX."""
    module, z = torch.nn.Linear(128, 4096).eval(), torch.zeros(1, 128)
    torch.jit.trace(module, z).save(str(folder / "generator.pt"))  # type: ignore[no-untyped-call]
    torch.onnx.export(
        *(module, (z,), folder / "generator.onnx"),
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        verbose=False,
    )


@pytest.mark.usefixtures("few_latents")
@pytest.mark.parametrize(
    "page", [name for name in TEXTS if blocks(TEXTS[name], "python") and name not in TUTORIALS]
)
def test_blocks_of_python_run(
    page: str, place: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audiate.training.recipes.paired.LEAST_STEPS", 1)
    code = blocks(TEXTS[page], "python")
    for shown, quicker in QUICKER.get(page, []):
        assert shown in "".join(code)
        code = [block.replace(shown, quicker) for block in code]
    if "generator.onnx" in "".join(code):
        write_generators(place)
    if "drawer.onnx" in "".join(code):
        assets: Path = request.getfixturevalue("page_files")
        shutil.copy(assets / "drawer.onnx", place)
    if "runs/vae" in "".join(code) and "--out runs/vae" not in "".join(code):
        shutil.copytree(hub.find("lenet-mnist"), place / "runs" / "vae")
    names: dict[str, object] = {"__name__": "page"}
    for block in code:
        if file := FILE.match(block):
            ast.parse(block)  # tests/test_new_model.py runs those of CONTRIBUTING.md
            if "/" not in file[1]:
                (place / file[1]).write_text(block)
        else:
            exec(compile(block, page, "exec"), names)


SPEAKER = """#!{python} -IS
import array, math, sys, wave, zlib
words = sys.argv[1:]
hertz = 150 + zlib.crc32(" ".join(words).encode()) % 800
path = words[words.index("-o" if "-o" in words else "-w") + 1]
with wave.open(path, "wb") as file:
    file.setparams((1, 2, 16000, 0, "NONE", ""))
    tone = (int(9999 * math.sin(math.tau * hertz * at / 16000)) for at in range(8000))
    file.writeframes(array.array("h", tone).tobytes())
"""
"""A program that speaks in tones, as flite and espeak-ng speak in words."""


@pytest.fixture
def tools(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the tutorials take from Debian: two programs, a font, drum kits."""
    for name in ("flite", "espeak-ng"):
        (place / "bin").mkdir(exist_ok=True)
        (place / "bin" / name).write_text(SPEAKER.format(python=sys.executable))
        (place / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(place / "bin"), prepend=os.pathsep)
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    shutil.copy(fonts / "DejaVuSans.ttf", place / "sans.ttf")
    hits = ("Kick_1", "Kick_2", "Snare_1", "Snare_2", "Hat_Cl_1", "Hat_Cl_2", "Clap_1", "Clap_2")
    for number, name in enumerate(hits):
        path = place / "kits" / "ElectricEmpireKit" / f"EE_{name}.flac"
        write_tone(path, hertz=100 + 50 * number, seconds=0.05 + 0.01 * number, rate=16_000)
    return place


def run_tutorial(page: str, parts: list[tuple[bool, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the parts of a tutorial, of which each is Python or holds commands, cut down."""
    monkeypatch.setattr("audiate.training.recipes.paired.LEAST_STEPS", 1)
    monkeypatch.setattr(train_word_classifier, "__kwdefaults__", {"steps": 4})
    for name in ("_STEPS", "_ROUNDS", "_VIEWS"):
        monkeypatch.setattr(f"audiate.training.discovery.{name}", 2)
    names: dict[str, object] = {"__name__": "page"}
    for shown, _ in TUTORIALS[page]:
        assert any(shown in part for _, part in parts), shown
    for python, part in parts:
        for shown, quicker in TUTORIALS[page]:
            part = part.replace(shown, quicker)
        if python:
            exec(compile(part, page, "exec"), names)
            continue
        for words in commands(f"```\n{part}\n```\n"):
            assert main(words) == 0, shlex.join(words)


@pytest.mark.usefixtures("few_latents", "tools")
@pytest.mark.parametrize("page", [page for page in TUTORIALS if page in TEXTS])
def test_tutorials_run(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = BLOCK.findall(TEXTS[page])
    parts = [(language == "python", block) for language, block in found if language != "text"]
    run_tutorial(page, parts, monkeypatch)


@pytest.mark.usefixtures("few_latents", "tools")
def test_the_notebook_of_the_tutorials_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = json.loads((ROOT / NOTEBOOK).read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert not any(cell.get("outputs") for cell in cells), "clear the outputs before a commit"
    parts = [(source[0] not in "!%", source.replace("!audiate", "audiate")) for source in sources]
    run_tutorial(NOTEBOOK, parts, monkeypatch)


@pytest.mark.parametrize("page", [name for name in TEXTS if commands(TEXTS[name])])
def test_commands_are_understood(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    for words in commands(TEXTS[page]):
        try:
            understood = is_understood(words)
            # A text may name a command without what it needs, as in `audiate train`.
            if not (understood or any(word.startswith("-") for word in words)):
                understood = is_understood([*words, "--help"])
        except audiate.InputError as error:
            pytest.fail(f"audiate {shlex.join(words)}: {error}")
        assert understood, f"audiate {shlex.join(words)}: {capsys.readouterr().err}"


def is_understood(words: list[str]) -> bool:
    try:
        parse(words)
    except SystemExit as ended:
        return not ended.code
    return True


def test_settings_that_do_not_exist_are_noticed() -> None:
    assert not is_understood(["draw", "seven.wav", "--sample", "8"])
    assert not is_understood(["train", "vae", "--codes", "8"])


@pytest.mark.usefixtures("few_latents")
@pytest.mark.parametrize("page", sorted(RUN))
def test_commands_run(page: str, place: Path) -> None:
    for block in blocks(TEXTS[page], "python"):
        if file := FILE.match(block):
            (place / file[1]).write_text(block)
    shell = "".join(blocks(TEXTS[page], ""))
    for words in commands(f"```\n{shell}```"):
        assert main(words) == 0, shlex.join(words)


def test_other_commands_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    for page, text in TEXTS.items():
        for line in lines(text):
            words = line.split()
            if words[:1] == ["make"]:
                wanted = {word for word in words[1:] if "=" not in word and word != "..."}
                assert wanted <= targets, f"{page}: {line}"
            if match := re.match(r"python -m benchmarks\.(\w+)", line):
                assert (ROOT / "benchmarks" / f"{match[1]}.py").exists(), f"{page}: {line}"
            if match := re.match(r"(?:python )?(scripts/\S+|web/\S+\.py)", line):
                assert (ROOT / match[1]).exists(), f"{page}: {line}"
            if match := re.search(r"audiate\[([\w,]+)\]", line):
                assert set(match[1].split(",")) <= set(extras), f"{page}: {line}"


@pytest.mark.parametrize("page", TEXTS)
def test_links_lead_somewhere(page: str) -> None:
    prose = BLOCK.sub("", TEXTS[page])
    for target in re.findall(r"\]\((?!\w+:)([^)\s]+)\)", prose):
        path, _, anchor = target.partition("#")
        found = (ROOT / page).parent / path if path else ROOT / page
        if not path.startswith("../packages") or (ROOT / "packages" / "papers" / "src").exists():
            assert found.exists(), f"{page}: {target}"
        if anchor:
            assert anchor in anchors(found.read_text(encoding="utf-8")), f"{page}: {target}"


def test_source_code_links_back_to_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    mended = importlib.import_module("backlinks").mended
    link = '<a class="viewcode-back" href="../../api/models.html#{}">'
    known = {"audiate.models.configs.VAEConfig", "audiate.models.vae.VAE.encode"}
    for module, shown, there in (
        ("audiate.models.configs", "audiate.models.VAEConfig", "audiate.models.configs.VAEConfig"),
        ("audiate.models.vae", "audiate.models.vae.VAE.encode", "audiate.models.vae.VAE.encode"),
    ):
        assert mended(link.format(shown), module, known) == link.format(there)


def anchors(text: str) -> set[str]:
    """Names by which headings of a page can be linked to."""
    if included := re.match(r"```{include} \.\./(\S+)\n", text):
        text = TEXTS[included[1]]
    headings = re.findall(r"^#+ (.*)$", BLOCK.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).strip().replace(" ", "-") for each in headings}


# The reference: what stands in it, and what should.

PACKAGES = (audiate, export)
MODULES = (
    *("audio.files", "audio.log_mel", "audio.spectrograms", "audio.stft", "data.images", "errors"),
    *("metrics.distribution", "metrics.reconstruction", "models.configs", "training.losses"),
)


def documented() -> Iterator[object]:
    """Everything that has an entry in the reference."""
    for page in (DOCS / "api").glob("*.md"):
        module: ModuleType | None = None
        for directive, name in re.findall(
            r"^\.\. (?:auto)?(\w+):: (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE
        ):
            if directive in ("module", "currentmodule"):
                module = importlib.import_module(name)
            if directive == "module":
                yield from defined_in(module)
            elif directive != "currentmodule":
                yield getattr(module, name)


def defined_in(module: ModuleType | None) -> list[object]:
    """Public functions and classes of a module, imported ones left out."""
    assert module is not None
    return [
        value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    ]


def test_every_public_name_is_in_the_reference() -> None:
    there = {id(value) for value in documented()}
    for package in PACKAGES:
        for name in getattr(package, "__all__", dir(package)):
            value = getattr(package, name)
            if name[0] != "_" and getattr(value, "__module__", "").startswith("audiate."):
                assert id(value) in there, f"{package.__name__}.{name}"
    for name in MODULES:
        for value in defined_in(importlib.import_module(f"audiate.{name}")):
            assert id(value) in there, f"{name}: {value}"


def test_every_shipped_model_has_a_card() -> None:
    for folder in hub.weights_folders():
        for weights in folder.glob(f"*/{hub.WEIGHTS_NAME}"):
            card = weights.parent / "README.md"
            assert f"\n# {weights.parent.name}\n" in card.read_text(encoding="utf-8")
            assert f"`{weights.parent.name}`" in TEXTS["docs/weights.md"]
