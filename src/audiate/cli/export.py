"""`audiate export`: models as ONNX files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from audiate.errors import InputError

SCORES = "scores"
"""The name that stands for the scores of reconstructions, in place of a model's."""


@dataclass(frozen=True)
class Export:
    """Write a model as an ONNX file, which onnxruntime runs in many languages.

    Preprocessing is part of the file: models that take sound take a mono waveform (samples,) in
    [-1, 1], of any length, and find and cut the word themselves. Noise is an input. Weights that
    are stored in 8 bits stay so. The file's metadata name the sample rate.
    """

    model: Positional[Annotated[str, arg(metavar="MODEL")]]
    """A shipped model's name, the folder of a run or a model, or a Hugging Face hub id; or scores,
    for the scores of `audiate compare`."""
    out: Positional[Annotated[Path, arg(metavar="OUT")]]
    """The file to write, such as model.onnx."""
    sample_rate: int | None = None
    """Sample rate of the waveforms that the file takes, in Hz: by default the model's own, or else
    a whole multiple of it, up to 3 times."""
    backwards: bool = False
    """Export a flow of sound backwards: a waveform goes in, and its latent comes out."""

    def run(self) -> int:
        """Export, print inputs and outputs of the file, and return the exit status."""
        from audiate.export import export, export_scores
        from audiate.models.pretrained import load

        if self.out.suffix != ".onnx" and not self.out.is_dir():
            raise InputError(f"{self.out}: give OUT a name that ends in .onnx")
        if self.model == SCORES and self.backwards:
            raise InputError("--backwards: is for flows of sound; leave it out")
        if self.model == SCORES:
            rate = 16_000 if self.sample_rate is None else self.sample_rate
            graph = export_scores(self.out, sample_rate=rate)
        else:
            graph = export(
                load(self.model), self.out, sample_rate=self.sample_rate, backwards=self.backwards
            )
        takes = ", ".join(
            f"{name} ({', '.join(map(str, _sizes(graph.dynamic.get(name, {}), each.shape)))})"
            for name, each in graph.inputs.items()
        )
        facts = "".join(f"; {name} {value}" for name, value in graph.facts.items() if value)
        print(f"{self.out}: {self.out.stat().st_size / 1024:,.0f} KiB; takes {takes}")
        print(f"gives {', '.join(graph.outputs)}{facts}")
        return 0


def _sizes(names: dict[int, str], shape: tuple[int, ...]) -> list[int | str]:
    """The sizes of an input, by name where they may vary."""
    return [names.get(at, size) for at, size in enumerate(shape)]
