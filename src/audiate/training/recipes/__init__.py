"""What each training does, as plain values. The command line is made from these classes."""

from __future__ import annotations

from audiate.training.recipes.common import (
    SPEAKERS,
    Speaker,
)
from audiate.training.recipes.drawing import (
    VAE_PAPER,
    VAEGAN_PAPER,
    DrawingRecipe,
    LatentFlowRecipe,
    LeNetRecipe,
    VAEGANRecipe,
    VAERecipe,
)
from audiate.training.recipes.sound import (
    INVERSE_MAPPING_PAPER,
    SPECGAN_PAPER,
    WAVEGAN_LENGTHS,
    WAVEGAN_PAPER,
    AudioGANRecipe,
    DigitClassifierRecipe,
    InverseMappingRecipe,
    SpecGANRecipe,
    WaveGANRecipe,
)

__all__ = [
    "INVERSE_MAPPING_PAPER",
    "RECIPES",
    "SPEAKERS",
    "SPECGAN_PAPER",
    "VAEGAN_PAPER",
    "VAE_PAPER",
    "WAVEGAN_LENGTHS",
    "WAVEGAN_PAPER",
    "AudioGANRecipe",
    "DigitClassifierRecipe",
    "DrawingRecipe",
    "InverseMappingRecipe",
    "LatentFlowRecipe",
    "LeNetRecipe",
    "Recipe",
    "Speaker",
    "SpecGANRecipe",
    "VAEGANRecipe",
    "VAERecipe",
    "WaveGANRecipe",
]

Recipe = LeNetRecipe | DrawingRecipe | DigitClassifierRecipe | AudioGANRecipe | InverseMappingRecipe

RECIPES: dict[str, Recipe] = {
    "lenet": LeNetRecipe(),
    "vae": VAERecipe(),
    "vae-paper": VAE_PAPER,
    "vaegan": VAEGANRecipe(),
    "vaegan-paper": VAEGAN_PAPER,
    "latent-flow": LatentFlowRecipe(),
    "digit-classifier": DigitClassifierRecipe(),
    "wavegan": WaveGANRecipe(),
    "wavegan-paper": WAVEGAN_PAPER,
    "specgan": SpecGANRecipe(),
    "specgan-paper": SPECGAN_PAPER,
    "inverse-mapping": InverseMappingRecipe(),
    "inverse-mapping-paper": INVERSE_MAPPING_PAPER,
}
