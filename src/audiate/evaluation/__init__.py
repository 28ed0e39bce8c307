"""The papers' tables: evaluation of models, of inversions and of reconstructions."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audiate.evaluation.comparison import compare as compare
    from audiate.evaluation.inversion import InversionSettings as InversionSettings
    from audiate.evaluation.inversion import evaluate_inversion as evaluate_inversion
    from audiate.evaluation.model import evaluate_model as evaluate_model
    from audiate.evaluation.report import FigureReport as FigureReport
    from audiate.evaluation.report import Report as Report
    from audiate.evaluation.roundtrip import evaluate_roundtrip as evaluate_roundtrip
    from audiate.evaluation.tradeoff import evaluate_tradeoff as evaluate_tradeoff
    from audiate.evaluation.trained import TrainingPlace as TrainingPlace

_HOME = {
    "FigureReport": "report",
    "InversionSettings": "inversion",
    "Report": "report",
    "TrainingPlace": "trained",
    "compare": "comparison",
    "evaluate_inversion": "inversion",
    "evaluate_model": "model",
    "evaluate_roundtrip": "roundtrip",
    "evaluate_tradeoff": "tradeoff",
}


def __getattr__(name: str) -> object:
    """Import a name on first use, so that a command waits for its own imports alone."""
    if name not in _HOME:
        raise AttributeError(f"module 'audiate.evaluation' has no attribute {name!r}")
    value: object = getattr(import_module(f"audiate.evaluation.{_HOME[name]}"), name)
    globals()[name] = value
    return value
