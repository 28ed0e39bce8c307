"""Train generators with codes: ciwGAN and fiwGAN."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import log

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from audiate.data.sounds import SoundSet
from audiate.models.code_network import WordCodeNetwork, encode_codes
from audiate.training.augment import augmented
from audiate.training.batches import EvenOrder
from audiate.training.batches import generator as seeded
from audiate.training.recipes.coded_gans import CodedRecipe
from audiate.training.task import NotYet, Shard, Stage
from audiate.training.tasks.gan_task import AudioGANTask, prepare_sounds
from audiate.training.tasks.word_groups import WordGroups, check_enough

_LOST = 0.9  # of the loss without any knowledge: more is an alarm


class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton 2012) as TensorFlow has it.

    It divides gradients g by the root of their mean squares m:
    m becomes decay · m + (1 - decay) · g², and the parameter falls by lr · g / √(m + epsilon).
    Unlike in PyTorch, m is 1 at first, and epsilon is added under the root.
    """

    decay, epsilon = 0.9, 1e-10

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["square"] = torch.ones_like(parameter)
                square = state["square"]
                square.mul_(self.decay).addcmul_(gradient, gradient, value=1 - self.decay)
                root = (square + self.epsilon).sqrt()
                parameter.addcdiv_(gradient, root, value=-group["lr"])


class CodedGANTask(AudioGANTask):
    """Train generator, discriminator and Q-network in turn (Beguš 2021; Chen et al. 2016).

    The generator is also trained to make sounds whose code the Q-network recovers: by its own Adam,
    or, as in the published programs, in a further update by the RMSprop that trains the Q-network.

    With `discover`, the clips are sorted into groups in the first step
    (`audiate.training.discovery`): a group's number is the code that the discriminator is given
    beside a real clip, and the Q-network goes on learning the groups from real clips, beside the
    codes from generated ones. The groups belong to the run's state, so a resumed run keeps them.
    """

    def __init__(
        self, recipe: CodedRecipe, sounds: SoundSet, device: torch.device, shard: Shard
    ) -> None:
        self._coded, self._code = recipe, recipe.code
        if recipe.discover:
            remedy = f"ask for fewer codes with `{recipe.size_setting}`, or add `discover=False`"
            check_enough(len(sounds.labels), self._code.count, remedy)
        super().__init__(recipe, sounds, device, shard)
        self._published = recipe.code_optimizer == "rmsprop"
        trained = list(self._q_network.parameters())
        if self._published:
            trained += self._generator.parameters()
        kind = RMSprop if self._published else torch.optim.Adam
        self.optimizers["code"] = kind(trained, lr=recipe.code_rate)
        self._groups = WordGroups(len(sounds.labels))
        self._grouped = not recipe.discover
        if recipe.discover:
            self.modules["groups"] = self._groups
        shown = torch.arange(len(self._latents)) % self._code.count
        self._latents = self.model.sample_latent(
            len(shown), generator=seeded(recipe.seed, 1), labels=shown
        )

    @property
    def _q_network(self) -> nn.Module:
        assert self.model.code_network is not None
        return self.model.code_network

    def begin_step(self, step: int) -> None:
        """Sort the clips into groups, where that is not done yet."""
        super().begin_step(step)
        if not self._grouped:
            self._sort()
            self._grouped = True

    def _sort(self) -> None:
        """Give each clip the number of its group, found now or in the run that is resumed."""
        recipe, network = self._coded, self._q_network
        assert isinstance(network, WordCodeNetwork)
        self._sounds, _ = self._groups.sort(
            self._sounds, network, self._code, voices=recipe.voices, seed=recipe.seed
        )
        self._order = EvenOrder(
            self._sounds.labels, self._sounds.sources, recipe.batch_size, recipe.seed
        )

    def stages(self, step: int) -> Sequence[Stage]:
        """The updates of generator and discriminator, and one of the Q-network."""
        first, *others = super().stages(step)
        read = {"recovered": 1.0, **({"groups": 1.0} if self._coded.discover else {})}
        code = Stage("code", lambda: self._code_losses(step), read, self._coded.code_rate)
        if self._published:
            return [first, code, *others]
        weights = {**first.weights, "code": self._coded.code_weight}
        return [replace(first, weights=weights), *others, code]

    def _further_losses(self, drawn: Tensor, meant: Tensor) -> Mapping[str, Tensor]:
        return {} if self._published else {"code": self._code_loss(drawn, meant)}

    def _code_losses(self, step: int) -> Mapping[str, Tensor]:
        drawn = self._draw() if self._published else self._drawn
        assert drawn is not None, "the generator's stage comes first"
        losses = {"recovered": self._code_loss(*drawn)}
        if self._coded.discover:
            waveforms, labels = self._batch(step * self._coded.critic_updates)
            losses["groups"] = self._code_loss(self.model.analyse(waveforms), labels)
        return losses

    def _code_loss(self, seen: Tensor, meant: Tensor) -> Tensor:
        """Mean loss of the codes (batch,) that the Q-network recovers, in nats for each entry."""
        network = self._q_network
        if isinstance(network, WordCodeNetwork):
            power = self.model.word_power(seen)
            words = network.features.find_words(power)
            logits = network.read(augmented(network.features, power, words)).float()
        else:
            logits = self.model.code_logits(seen).float()
        if self._code.kind == "one-hot":
            return F.cross_entropy(logits, meant)
        return F.binary_cross_entropy_with_logits(logits, encode_codes(self._code, meant))

    def diagnose(self, means: Mapping[str, float]) -> str | None:
        """Report what goes wrong in any audio GAN, or that codes are not recovered."""
        chance = log(self._code.size if self._code.kind == "one-hot" else 2)
        if (alarm := super().diagnose(means)) or means["recovered"] < _LOST * chance:
            return alarm
        return NotYet(
            f"codes are not recovered: the Q-network's loss is {means['recovered']:.2f}, and "
            f"{chance:.2f} without any knowledge. Raise `code_weight`, or ask for fewer codes"
        )


prepare = partial(prepare_sounds, task=CodedGANTask)
