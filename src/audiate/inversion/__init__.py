"""From sound back to the latent that a generator would make it of."""

from audiate.inversion.build import inverter
from audiate.inversion.common import Inversion, Inverter
from audiate.inversion.evolution import EvolutionInverter
from audiate.inversion.folder import InversionRun, invert_folder
from audiate.inversion.gradient import GradientInverter
from audiate.inversion.halving import HalvingInverter
from audiate.inversion.inverters import (
    BestInverter,
    BudgetInverter,
    EncoderInverter,
    HybridInverter,
)
from audiate.inversion.objectives import (
    LevelTerm,
    Objective,
    PerceptualTerm,
    SpectrogramTerm,
    StructureTerm,
    Term,
    WaveformTerm,
    level_objective,
    paper_objective,
    plain_objective,
    speech_objective,
)
from audiate.inversion.results import ClipResult, InversionReport
from audiate.inversion.search import SearchInverter
from audiate.inversion.starts import as_classifier, find_encoder

__all__ = [
    "BestInverter",
    "BudgetInverter",
    "ClipResult",
    "EncoderInverter",
    "EvolutionInverter",
    "GradientInverter",
    "HalvingInverter",
    "HybridInverter",
    "Inversion",
    "InversionReport",
    "InversionRun",
    "Inverter",
    "LevelTerm",
    "Objective",
    "PerceptualTerm",
    "SearchInverter",
    "SpectrogramTerm",
    "StructureTerm",
    "Term",
    "WaveformTerm",
    "as_classifier",
    "find_encoder",
    "invert_folder",
    "inverter",
    "level_objective",
    "paper_objective",
    "plain_objective",
    "speech_objective",
]
