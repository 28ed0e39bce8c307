"""Scores against torchmetrics, SciPy and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_confusion_matrix,
)

from audiate.metrics import accuracy, bootstrap_interval, confusion_matrix


@given(seed=st.integers(0, 1000), count=st.integers(1, 200))
@settings(max_examples=20, deadline=None)
def test_accuracy_and_confusion_are_those_of_torchmetrics(seed: int, count: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    predictions, labels = torch.randint(10, (2, count), generator=generator)
    expected = multiclass_accuracy(predictions, labels, 10, average="micro").item()
    assert accuracy(predictions, labels) == pytest.approx(expected)
    counts = confusion_matrix(predictions, labels)
    assert torch.equal(counts, multiclass_confusion_matrix(predictions, labels, 10))
    assert counts.sum() == count


def test_interval_of_independent_items_is_scipys() -> None:
    correct = (torch.rand(500, generator=torch.Generator().manual_seed(0)) < 0.8).float()
    low, high = bootstrap_interval(correct, torch.arange(500), draws=5000)
    expected = bootstrap(
        (correct.numpy(),), np.mean, method="percentile", n_resamples=5000, rng=0
    ).confidence_interval
    assert low == pytest.approx(expected.low, abs=0.005)
    assert high == pytest.approx(expected.high, abs=0.005)


def test_copies_of_an_item_bring_no_certainty() -> None:
    correct = (torch.rand(100, generator=torch.Generator().manual_seed(0)) < 0.8).float()
    once = bootstrap_interval(correct, torch.arange(100))
    fifty_times = bootstrap_interval(correct.repeat(50), torch.arange(100).repeat(50))
    assert fifty_times == pytest.approx(once)
    assert bootstrap_interval(correct.repeat(50), torch.arange(5000))[0] > once[0] + 0.03


def test_no_doubt_no_width() -> None:
    assert bootstrap_interval(torch.ones(20), torch.arange(20)) == (1.0, 1.0)
