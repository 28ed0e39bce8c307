"""From sound back to the latent that a generator would make it of."""

from audiate.inversion.build import (
    BudgetInverter,
    as_classifier,
    find_encoder,
    inverter,
    paper_objective,
    speech_objective,
)
from audiate.inversion.common import Inversion, Inverter
from audiate.inversion.evolution import EvolutionInverter
from audiate.inversion.folder import InversionRun, invert_folder
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
from audiate.inversion.results import ClipResult, InversionReport

__all__ = [
    "BudgetInverter",
    "ClipResult",
    "EncoderInverter",
    "EvolutionInverter",
    "GradientInverter",
    "HybridInverter",
    "Inversion",
    "InversionReport",
    "InversionRun",
    "Inverter",
    "LevelTerm",
    "Objective",
    "PerceptualTerm",
    "SpectrogramTerm",
    "StructureTerm",
    "Term",
    "WaveformTerm",
    "as_classifier",
    "find_encoder",
    "invert_folder",
    "inverter",
    "paper_objective",
    "plain_objective",
    "speech_objective",
]
