"""Groups of like words among the clips of a training, whose numbers are codes."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from audiate.data.sounds import SoundSet
from audiate.errors import InputError, Interrupted
from audiate.models.code_network import WordCodeNetwork
from audiate.models.configs import CodeConfig
from audiate.training.discovery import LEAST_IN_GROUP, discover
from audiate.training.grouping import arrange_binary
from audiate.training.recipes.base import VoiceSetting
from audiate.utils.filesystem import terminated_like_interrupted


class WordGroups(nn.Module):
    """The group of each clip, as part of a run's state, so that a resumed run keeps them.

    Attributes:
        numbers: (count,), int64; -1 before the groups are found.

    """

    numbers: Tensor

    def __init__(self, count: int) -> None:
        super().__init__()
        self.register_buffer("numbers", torch.full((count,), -1, dtype=torch.int64))

    def sort(
        self,
        sounds: SoundSet,
        network: WordCodeNetwork,
        code: CodeConfig,
        *,
        voices: VoiceSetting,
        seed: int,
    ) -> tuple[SoundSet, nn.Linear | None]:
        """Find groups of like words (`discover`), unless the run that is resumed has found them.

        Args:
            sounds: The clips, at the level at which they were recorded.
            network: The Q-network, whose layers learn the groups.
            code: The code; there are as many groups as codes.
            voices: The setting of that name.
            seed: Seed of everything random.

        Returns:
            The clips, with the numbers of their groups as labels; and the layer that reads one-hot
            codes after the Q-network's layers, None where the groups were found before.

        Raises:
            InputError: Voices are to be named, and are not.
            Interrupted: The command was interrupted.

        """
        head = None
        if int(self.numbers.min()) < 0:
            device = network.head.weight.device
            waveforms = sounds.waveforms(torch.arange(len(sounds.labels)))
            named = _named_voices(sounds, voices)
            try:
                with terminated_like_interrupted():  # it takes longer than a step
                    found = discover(network.cpu(), waveforms, code.count, seed, named)
            except KeyboardInterrupt as interrupt:
                raise Interrupted("stopped while the clips were sorted into groups") from interrupt
            network.to(device)
            groups, head = found.groups, found.head
            if code.kind == "binary":
                groups = _arranged(groups, network, waveforms.to(device), code.count)
            self.numbers.copy_(groups)
        return replace(sounds, labels=self.numbers.cpu()), head


def check_enough(clips: int, count: int, remedy: str) -> None:
    """Make sure that there are enough clips for ``count`` groups.

    Raises:
        InputError: There are not; the message ends with ``remedy``.

    """
    least = LEAST_IN_GROUP * count
    if clips < least:
        raise InputError(
            f"`data`: too few clips ({clips}) to find {count} groups in; give {least} or more, "
            f"{remedy}"
        )


def _named_voices(sounds: SoundSet, wanted: VoiceSetting) -> Tensor | None:
    """The voice of each clip; None where conditions are to be found."""
    if wanted == "one":
        return torch.zeros_like(sounds.labels)
    if wanted == "named" and sounds.voices is None:
        raise InputError(
            "`voices=named`: nothing names any; give `voices=found`, or {voice} in `label_from`"
        )
    return None if wanted == "found" else sounds.voices


@torch.no_grad()
def _arranged(found: Tensor, network: WordCodeNetwork, waveforms: Tensor, count: int) -> Tensor:
    """Numbers of groups whose digits in base two agree where words are alike."""
    power = network.power(waveforms)
    views = network.features.view(power, network.features.find_words(power))
    hidden = network.embed(views).double().cpu().numpy()
    means = [hidden[found.numpy() == group] for group in range(count)]
    centre = hidden.mean(0)
    numbers = arrange_binary(np.stack([m.mean(0) if len(m) else centre for m in means]))
    return torch.from_numpy(numbers)[found]
