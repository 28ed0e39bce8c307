"""From sound back to the latent that a generator would make it of."""

from audiate.inversion.build import (
    BudgetInverter,
    find_encoder,
    inverter,
    paper_objective,
    speech_objective,
)
from audiate.inversion.common import Inversion, Inverter
from audiate.inversion.evolution import EvolutionInverter
from audiate.inversion.inverters import EncoderInverter, GradientInverter, HybridInverter
from audiate.inversion.objectives import (
    LevelTerm,
    Objective,
    PerceptualTerm,
    SpectrogramTerm,
    StructureTerm,
    Term,
    WaveformTerm,
    plain_objective,
)

__all__ = [
    "BudgetInverter",
    "EncoderInverter",
    "EvolutionInverter",
    "GradientInverter",
    "HybridInverter",
    "Inversion",
    "Inverter",
    "LevelTerm",
    "Objective",
    "PerceptualTerm",
    "SpectrogramTerm",
    "StructureTerm",
    "Term",
    "WaveformTerm",
    "find_encoder",
    "inverter",
    "paper_objective",
    "plain_objective",
    "speech_objective",
]
