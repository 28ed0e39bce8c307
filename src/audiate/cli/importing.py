"""`audiate import-wavegan`: convert checkpoints of the published program."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from audiate.cli.common import keywords
from audiate.errors import InputError, check_range
from audiate.models.configs import CodeKind


@dataclass(frozen=True)
class ImportWaveGAN:
    """Convert a WaveGAN checkpoint of the published TensorFlow program to a model of audiate.

    With --code also one of a ciwGAN or fiwGAN, with the network that recovers its code. Reading it
    needs TensorFlow (pip install tensorflow-cpu). `audiate generate OUT` uses the result without.
    """

    checkpoint: Positional[Annotated[Path, arg(metavar="CKPT")]]
    """The checkpoint's prefix, such as train/model.ckpt-1000; or a training's folder, whose
    latest checkpoint is used."""
    out: Positional[Annotated[Path, arg(metavar="OUT")]]
    """Folder for config.json and model.safetensors."""
    num_samples: int | None = None
    """Number of samples of a clip: 32768 or 65536. Checkpoints for 16384 samples do not need it."""
    sample_rate: int = 16_000
    """Sample rate of the sounds that the checkpoint was trained on, in Hz."""
    code: CodeKind = "none"
    """The code of a ciwGAN (one-hot) or fiwGAN (binary). none leaves its Q-network out."""

    def run(self) -> int:
        """Convert, and return the exit status."""
        from audiate.models.hub import CONFIG_NAME, WEIGHTS_NAME
        from audiate.models.tensorflow import convert_wavegan, read_checkpoint

        check_range("--sample-rate", self.sample_rate, 100, 10**7)
        for name in (CONFIG_NAME, WEIGHTS_NAME):
            if os.path.lexists(self.out / name):
                raise InputError(f"{self.out}: holds a {name} already; name another folder")
        variables = read_checkpoint(self.checkpoint)
        sizes = keywords(self, "checkpoint", "out")
        model = convert_wavegan(variables, str(self.checkpoint), **sizes)
        model.save_pretrained(self.out)
        if not any(name.startswith("D/") for name in variables):
            print("no discriminator in it; a training that begins with it has a new one")
        again = shlex.join(["audiate", "generate", str(self.out)])
        print(f"{model.num_parameters():,} parameters into {self.out}; listen to it with: {again}")
        return 0
