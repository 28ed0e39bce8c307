"""Scores against torchmetrics, SciPy and closed forms."""

from __future__ import annotations

from pathlib import Path

import librosa
import numpy as np
import pytest
import scipy  # whose parts are imported on first use: scipy.stats takes seconds
import torch
from conftest import peak_megabytes
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist
from skimage.metrics import structural_similarity as skimage_ssim
from torch import Tensor, nn
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_confusion_matrix,
)
from torchmetrics.image.fid import _compute_fid
from torchmetrics.image.kid import poly_mmd

from audiate.audio.spectrograms import wide_mel_filters
from audiate.errors import InputError
from audiate.metrics.classification import (
    accuracy,
    bootstrap_interval,
    confusion_matrix,
    score_of,
    wilson_interval,
)
from audiate.metrics.distribution import (
    Fidelity,
    am_score,
    distance_from_prior,
    frechet_distance,
    inception_score,
    kernel_distance,
    modified_inception_score,
    neighbourhoods,
    pixel_spread,
)
from audiate.metrics.reconstruction import (
    MAX_COMPARED,
    log_spectral_distance,
    mean_squared_error,
    mel_distance,
    score_clips,
    structural_similarity,
)


def normal(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.double)


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
    random = np.random.default_rng(0)
    expected = scipy.stats.bootstrap(
        (correct.numpy(),), np.mean, method="percentile", n_resamples=5000, random_state=random
    ).confidence_interval
    assert low == pytest.approx(expected.low, abs=0.005)
    assert high == pytest.approx(expected.high, abs=0.005)


def test_copies_of_an_item_bring_no_certainty() -> None:
    correct = (torch.rand(100, generator=torch.Generator().manual_seed(0)) < 0.8).float()
    once = bootstrap_interval(correct, torch.arange(100))
    fifty_times = bootstrap_interval(correct.repeat(50), torch.arange(100).repeat(50))
    assert fifty_times == pytest.approx(once)
    assert bootstrap_interval(correct.repeat(50), torch.arange(5000))[0] > once[0] + 0.03


@pytest.mark.parametrize(("right", "count"), [(0, 3), (3, 3), (7, 20), (1, 1), (500, 500)])
def test_wilsons_interval_is_scipys(right: int, count: int) -> None:
    expected = scipy.stats.binomtest(right, count).proportion_ci(0.95, method="wilson")
    assert wilson_interval(right, count) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("right", [True, False])
def test_a_share_of_all_or_none_of_few_clips_has_wilsons_interval(right: bool) -> None:
    """Of as many items as there are groups: nine clips of three speakers count as three."""
    correct = torch.full((9,), right)
    for n in (9, 3):
        groups = torch.arange(9) % n
        expected = wilson_interval(n * right, n)
        assert bootstrap_interval(correct, groups) == expected
        assert bootstrap_interval(correct, groups, labels=groups) == expected
        assert bootstrap_interval(correct.double(), groups) == (right, right)  # no truth values


def test_the_interval_of_a_mean_over_labels_is_that_of_a_plain_loop() -> None:
    random = np.random.default_rng(0)
    groups, labels = random.integers(12, size=90), random.integers(4, size=90)
    labels[groups == 3] = 4  # a label of one speaker: some bootstrap samples lack it
    correct = random.random(90) < 0.2 + 0.15 * labels
    means = []
    for _ in range(4000):
        chosen = np.concatenate([np.flatnonzero(groups == g) for g in random.integers(12, size=12)])
        digits = labels[chosen]
        means.append(np.mean([correct[chosen][digits == d].mean() for d in np.unique(digits)]))
    found = bootstrap_interval(
        torch.from_numpy(correct),
        torch.from_numpy(groups),
        labels=torch.from_numpy(labels),
        draws=4000,
    )
    assert found == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.02)


def test_a_score_has_the_interval_of_its_mean_over_digits() -> None:
    labels = torch.tensor([0] * 90 + [1] * 10)
    read = labels.clone()
    read[-5:] = 0
    groups = torch.arange(100) % 20
    score = score_of(read, labels, groups)
    assert score.mean_over_digits == pytest.approx(0.75)
    low, high = score.mean_over_digits_interval
    assert low < 0.65 < 0.85 < high
    assert score.interval == bootstrap_interval(read == labels, groups)
    assert score.digits_in_percent()[0].startswith("75.00 [")


class TestInceptionScore:
    @pytest.mark.parametrize("splits", [1, 3, 10])
    def test_as_torchmetrics_has_it(self, splits: int, monkeypatch: pytest.MonkeyPatch) -> None:
        logits = 3 * torch.randn(300, 10, generator=torch.Generator().manual_seed(splits))
        # It shuffles, takes logits from a network, and exponentiates the mean of each split.
        oracle = torchmetrics_inception(logits, splits, monkeypatch)
        found = inception_score(logits, splits=splits)
        assert found.mean == pytest.approx(oracle[0], rel=1e-5)
        if splits > 1:  # theirs divides by one less
            unbiased = found.std * (splits / (splits - 1)) ** 0.5
            assert unbiased == pytest.approx(oracle[1], rel=1e-4)

    def test_closed_forms(self) -> None:
        sure = 1000 * torch.eye(10).repeat(20, 1)
        assert inception_score(sure, splits=10) == pytest.approx((10, 0))
        assert inception_score(sure[:100:10].repeat(10, 1), splits=2) == pytest.approx((1, 0))
        assert inception_score(torch.zeros(50, 10), splits=5) == pytest.approx((1, 0))
        # Two classes, each sample 3 to 1: ln 2 - H(1/4) nats, whichever they are.
        unsure = torch.tensor([[3.0, 1.0], [1.0, 3.0]]).log().repeat(10, 1)
        entropy = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
        assert inception_score(unsure, splits=2).mean == pytest.approx(np.exp(np.log(2) - entropy))

    def test_splits_of_different_scores(self) -> None:
        logits = torch.cat([1000 * torch.eye(4), torch.zeros(4, 4)])
        assert inception_score(logits, splits=2) == pytest.approx((2.5, 1.5))

    @given(seed=st.integers(0, 1000), scale=st.floats(0, 30))
    @settings(max_examples=30, deadline=None)
    def test_between_one_and_the_number_of_classes(self, seed: int, scale: float) -> None:
        logits = scale * torch.randn(40, 7, generator=torch.Generator().manual_seed(seed))
        assert 1 - 1e-9 <= inception_score(logits, splits=4).mean <= 7 + 1e-9

    def test_refused(self) -> None:
        with pytest.raises(InputError, match="3 samples: give at least one for each of 4 splits"):
            inception_score(torch.zeros(3, 10), splits=4)
        with pytest.raises(InputError, match="splits 0"):
            inception_score(torch.zeros(3, 10), splits=0)
        with pytest.raises(InputError, match="not all finite"):
            inception_score(torch.full((3, 10), torch.nan), splits=1)


def torchmetrics_inception(
    logits: Tensor, splits: int, monkeypatch: pytest.MonkeyPatch
) -> tuple[float, float]:
    """torchmetrics' Inception Score of given logits, in their order."""
    from torchmetrics.image.inception import InceptionScore

    oracle = InceptionScore(feature=nn.Flatten(), splits=splits)
    oracle.features = [logits]
    monkeypatch.setattr(torch, "randperm", torch.arange)
    mean, std = oracle.compute()
    return mean.item(), std.item()


class TestOtherScoresOfLogits:
    @given(seed=st.integers(0, 1000), scale=st.floats(0, 5))
    @settings(max_examples=20, deadline=None)
    def test_by_the_book(self, seed: int, scale: float) -> None:
        real, fake = (scale * normal(count, 4, seed=seed + count) for count in (12, 9))
        p, q = real.softmax(1).numpy(), fake.softmax(1).numpy()
        pairs = [np.sum(one * np.log(one / other)) for one in q for other in q]
        assert modified_inception_score(fake) == pytest.approx(np.exp(np.mean(pairs)))
        shift = np.sum(p.mean(0) * np.log(p.mean(0) / q.mean(0)))
        entropy = np.mean([-np.sum(one * np.log(one)) for one in q])
        assert am_score(real, fake) == pytest.approx(shift + entropy)

    def test_closed_forms(self) -> None:
        # Two classes, each sample 3 to 1 for one of them: half of the pairs differ by ln 3 / 2.
        unsure = torch.tensor([[3.0, 1.0], [1.0, 3.0]]).log().repeat(10, 1)
        assert modified_inception_score(unsure) == pytest.approx(np.exp(np.log(3) / 4))
        assert modified_inception_score(unsure[::2]) == pytest.approx(1)
        entropy = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
        assert am_score(unsure, unsure) == pytest.approx(entropy)
        sure = 1000 * torch.eye(10)
        assert am_score(sure, sure) == pytest.approx(0)
        # Half of the classes are never made: ln 2 for the others, and no bound for these.
        assert am_score(sure[:5], sure) == pytest.approx(np.log(2))
        assert am_score(sure, sure[:5]) > 100

    def test_refused(self) -> None:
        with pytest.raises(InputError, match="0 samples"):
            modified_inception_score(torch.zeros(0, 3))
        with pytest.raises(InputError, match="not all finite"):
            am_score(torch.zeros(2, 3), torch.full((2, 3), torch.inf))


class TestKernelDistance:
    def test_as_torchmetrics_has_it(self) -> None:
        real = normal(150, 12, seed=0) @ normal(12, 12, seed=1)
        fake = normal(150, 12, seed=2) @ normal(12, 12, seed=3) + 0.5
        assert kernel_distance(real, fake).value == pytest.approx(poly_mmd(real, fake).item())

    def test_strata_weigh_the_same_by_the_book(self) -> None:
        real, fake = normal(23, 5, seed=0), normal(17, 5, seed=1) + 0.3
        here, there = torch.arange(23) % 3, torch.tensor([0] * 3 + [1] * 14)

        def mean(one: Tensor, a: Tensor, other: Tensor, b: Tensor, same: bool) -> float:
            kernel = (one @ other.T / 5 + 1).pow(3).numpy()
            cells = []
            for i in range(3 if a is here else 2):
                for j in range(3 if b is here else 2):
                    pairs = np.outer(a == i, b == j)
                    if same:
                        np.fill_diagonal(pairs, False)
                    cells.append(kernel[pairs].mean())
            return float(np.mean(cells))

        expected = (
            mean(real, here, real, here, same=True)
            + mean(fake, there, fake, there, same=True)
            - 2 * mean(real, here, fake, there, same=False)
        )
        found = kernel_distance(real, fake, real_strata=here, fake_strata=there)
        assert found.value == pytest.approx(expected)

    def test_no_bias_for_few_items_and_an_honest_error(self) -> None:
        found = [
            kernel_distance(normal(200, 30, seed=draw), normal(30, 30, seed=1000 + draw))
            for draw in range(200)
        ]
        values = np.array([each.value for each in found])
        assert abs(values.mean()) < 4 * values.std() / len(values) ** 0.5
        errors = np.array([each.error for each in found])
        assert np.median(errors) == pytest.approx(values.std(), rel=0.35)

    def test_refused(self) -> None:
        items = torch.zeros(6, 2)
        with pytest.raises(InputError, match="2 fake items: give at least 3"):
            kernel_distance(items, items[:2])
        with pytest.raises(InputError, match="a stratum of 1 items: give at least 3"):
            kernel_distance(items, items, real_strata=torch.tensor([0, 0, 0, 0, 0, 1]))
        with pytest.raises(InputError, match="blocks 2"):
            kernel_distance(items, items, blocks=2)


class TestFrechetDistance:
    def test_strata_weigh_the_same_as_numpy_weighs(self) -> None:
        real, fake = normal(40, 4, seed=0), normal(30, 4, seed=1) + 1
        strata = torch.tensor([0] * 30 + [1] * 10)
        weights = np.where(strata == 0, 1 / 60, 1 / 20)
        mean = torch.from_numpy(np.average(real, axis=0, weights=weights))
        covariance = torch.from_numpy(np.cov(real.T, aweights=weights))
        expected = _compute_fid(mean, covariance, fake.mean(0), fake.T.cov()).item()
        assert frechet_distance(real, fake, real_strata=strata) == pytest.approx(expected)
        assert frechet_distance(fake, real, fake_strata=strata) == pytest.approx(expected)
        even = torch.arange(40) % 2
        assert frechet_distance(real, fake, real_strata=even) == pytest.approx(
            frechet_distance(real, fake)
        )

    def test_as_scipy_and_torchmetrics_have_it(self) -> None:
        real = normal(300, 12, seed=0) @ normal(12, 12, seed=1)
        fake = normal(200, 12, seed=2) @ normal(12, 12, seed=3) + 0.5
        means, covariances = zip(*[(x.mean(0), x.T.cov()) for x in (real, fake)], strict=True)
        distance = frechet_distance(real, fake)
        root = sqrtm((covariances[0] @ covariances[1]).numpy()).real
        trace = np.trace((covariances[0] + covariances[1]).numpy() - 2 * root)
        assert distance == pytest.approx((means[0] - means[1]).square().sum().item() + trace)
        expected = _compute_fid(means[0], covariances[0], means[1], covariances[1])
        assert distance == pytest.approx(expected.item())

    @given(
        seed=st.integers(0, 1000), shift=st.floats(-9, 9), scale=st.floats(0, 9), dead=st.booleans()
    )
    @settings(max_examples=30, deadline=None)
    def test_shifted_and_scaled(self, seed: int, shift: float, scale: float, dead: bool) -> None:
        real = normal(50, 6, seed=seed)
        if dead:
            real[:, :2] = 0  # as ReLUs that never fire
            real[:, 2] = real[:, 3]
        step = shift * torch.ones(6, dtype=torch.double)
        assert frechet_distance(real, real + step) == pytest.approx(6 * shift**2, abs=1e-10)
        total = real.square().mean(0).sum() + real.var(0).sum() / 50  # of mean² and variance
        assert frechet_distance(real, scale * real) == pytest.approx(
            (1 - scale) ** 2 * total.item(), abs=1e-10
        )

    @given(seed=st.integers(0, 1000), count=st.integers(2, 20), dead=st.integers(0, 8))
    @settings(max_examples=30, deadline=None)
    def test_no_side_and_no_axis_is_special(self, seed: int, count: int, dead: int) -> None:
        real, fake = normal(15, 8, seed=seed), 2 * normal(count, 8, seed=seed + 1) + 1
        real[:, :dead] = 0
        turn = torch.linalg.qr(normal(8, 8, seed=seed + 2)).Q
        distance = frechet_distance(real, fake)
        assert distance >= 0
        assert frechet_distance(fake, real) == pytest.approx(distance)
        assert frechet_distance(real @ turn, fake @ turn) == pytest.approx(distance)

    def test_never_negative_by_rounding(self) -> None:
        found = [frechet_distance(x, x) for x in (normal(30, 10, seed=s) for s in range(50))]
        assert min(found) == 0
        assert max(found) < 1e-12

    def test_float32_far_from_the_origin(self) -> None:
        real = (normal(100, 4, seed=0) + 1000).float()
        assert frechet_distance(real, real + 2) == pytest.approx(16, rel=1e-6)

    def test_one_item_has_no_spread(self) -> None:
        with pytest.raises(InputError, match="1 fake items: give at least 2"):
            frechet_distance(torch.zeros(2, 3), torch.zeros(1, 3))


def neighbourhoods_by_the_book(real: Tensor, fake: Tensor, neighbours: int) -> Fidelity:
    """Word by word, and pair by pair, with exact differences."""

    def radii(items: Tensor) -> np.ndarray:
        apart = cdist(items, items, "sqeuclidean")
        np.fill_diagonal(apart, np.inf)
        return np.sort(apart)[:, neighbours - 1]

    apart = cdist(real, fake, "sqeuclidean")
    in_real, in_fake = apart < radii(real)[:, None], apart < radii(fake)[None]
    return Fidelity(
        precision=in_real.any(0).mean(),
        recall=in_fake.any(1).mean(),
        density=in_real.sum() / (neighbours * len(fake)),
        coverage=in_real.any(1).mean(),
    )


class TestNeighbourhoods:
    @pytest.mark.parametrize("neighbours", [1, 5])
    def test_by_the_book(self, neighbours: int) -> None:
        real, fake = normal(450, 6, seed=0), 0.8 * normal(333, 6, seed=1) + 0.3
        expected = neighbourhoods_by_the_book(real, fake, neighbours)
        assert neighbourhoods(real, fake, neighbours=neighbours) == pytest.approx(expected)
        # Norms a million times the distances between items.
        far = neighbourhoods(real + 1e6, fake + 1e6, neighbours=neighbours)
        assert far == pytest.approx(expected)

    @given(
        seed=st.integers(0, 1000),
        neighbours=st.integers(1, 4),
        unit=st.sampled_from([1, 0.1, 1000]),
    )
    @settings(max_examples=40, deadline=None)
    def test_copies_and_ties(self, seed: int, neighbours: int, unit: float) -> None:
        generator = torch.Generator().manual_seed(seed)
        real = torch.randint(3, (40, 4), generator=generator).double()
        fake = torch.randint(1, 4, (30, 4), generator=generator).double()
        turn = unit * torch.linalg.qr(normal(4, 4, seed=seed)).Q  # whole numbers round nothing
        found = neighbourhoods(real @ turn, fake @ turn, neighbours=neighbours)
        assert found == pytest.approx(neighbourhoods_by_the_book(real, fake, neighbours))

    def test_a_perfect_copy(self) -> None:
        real = normal(300, 10, seed=0).float()
        assert neighbourhoods(real, real) == (1, 1, 1, 1)

    def test_nothing_in_common(self) -> None:
        real, fake = normal(50, 10, seed=0), normal(40, 10, seed=1)
        assert neighbourhoods(real, fake + 1e4) == (0, 0, 0, 0)
        assert neighbourhoods(real, fake + 1e9) == (0, 0, 0, 0)

    def test_one_image_over_and_over(self) -> None:
        real = torch.tensor([[0.0], [1.0], [3.0], [7.0], [15.0]])
        # 0 is nearer than the second neighbour to 0 itself (whose is 3) and to 1 (whose is 3 too).
        found = neighbourhoods(real, torch.zeros(20, 1), neighbours=2)
        assert found == Fidelity(precision=1, recall=0, density=1, coverage=0.4)

    @pytest.mark.parametrize("seed", range(10))  # how a product rounds depends on where it stands
    def test_copies_are_at_no_distance(self, seed: int) -> None:
        once = normal(203, 120, seed=seed).float()
        twice = once.repeat(2, 1)  # the nearest neighbour is the copy: an empty ball
        assert neighbourhoods(twice, once, neighbours=1) == (0, 1, 0, 0)
        assert neighbourhoods(once, twice, neighbours=1) == (1, 0, 1, 1)

    def test_what_one_distribution_can_reach(self) -> None:
        real_count, fake_count, neighbours = 40, 25, 3
        found = [
            neighbourhoods(
                normal(real_count, 5, seed=2 * draw),
                normal(fake_count, 5, seed=2 * draw + 1),
                neighbours=neighbours,
            )
            for draw in range(400)
        ]
        missed = [
            (real_count - i) / (real_count + fake_count - i) for i in range(1, neighbours + 1)
        ]
        for values, expected in (
            ([each.density for each in found], 1.0),
            ([each.coverage for each in found], 1 - np.prod(missed)),
        ):
            error = np.std(values) / len(values) ** 0.5
            assert error < 0.02
            assert np.mean(values) == pytest.approx(expected, abs=4 * error)

    def test_refused(self) -> None:
        items = torch.zeros(6, 2)
        with pytest.raises(InputError, match="5 fake items: give at least 6"):
            neighbourhoods(items, items[:5])
        with pytest.raises(InputError, match="real features are not all finite"):
            neighbourhoods(items.fill_(torch.nan), items)
        with pytest.raises(InputError, match="neighbours 0: give at least 1"):
            neighbourhoods(items, items, neighbours=0)


class TestPixelSpread:
    def test_same_images_no_spread(self) -> None:
        images = torch.rand(3, 28, 28, generator=torch.Generator().manual_seed(0))
        labels = torch.tensor([0, 1, 2]).repeat(10)
        assert pixel_spread(images.repeat(10, 1, 1), labels) == 0

    def test_black_or_white(self) -> None:
        images = (torch.arange(40) % 4 == 0).float().view(40, 1, 1).expand(-1, 28, 28)
        spread = pixel_spread(images, torch.zeros(40, dtype=torch.long))
        assert spread == pytest.approx((0.25 * 0.75) ** 0.5)

    def test_a_rare_label_weighs_as_much(self) -> None:
        images = torch.zeros(102, 28, 28)
        images[-1] = 1
        labels = torch.tensor([3] * 100 + [8] * 2)
        assert pixel_spread(images, labels) == pytest.approx(((0 + 0.25) / 2) ** 0.5)

    def test_as_numpy_has_it(self) -> None:
        generator = torch.Generator().manual_seed(0)
        images = torch.rand(60, 28, 28, generator=generator)
        labels = torch.randint(4, (60,), generator=generator)
        variances = [np.var(images.numpy()[labels.numpy() == d], axis=0) for d in range(4)]
        assert pixel_spread(images, labels) == pytest.approx(np.mean(variances) ** 0.5)


class TestReconstructions:
    def test_ssim_is_that_of_scikit_image(self) -> None:
        generator = torch.Generator().manual_seed(0)
        target = torch.randn(3, 40, 30, generator=generator)
        output = target + torch.tensor([0.1, 1.0, 10.0]).view(-1, 1, 1) * torch.randn(
            3, 40, 30, generator=generator
        )
        for span in (None, 1.0):
            found = structural_similarity(output, target, span)
            for row in range(3):
                pair = output[row].double().numpy(), target[row].double().numpy()
                theirs, each = skimage_ssim(  # type: ignore[no-untyped-call]
                    *pair,
                    data_range=span or max(p.max() for p in pair) - min(p.min() for p in pair),
                    gaussian_weights=True,
                    sigma=1.5,
                    use_sample_covariance=False,
                    full=True,
                )
                assert found[row].item() == pytest.approx(each[5:-5, 5:-5].mean(), abs=1e-5)
                assert theirs < 1

    def test_ssim_of_equal_and_of_empty_ones(self) -> None:
        images = torch.rand(2, 20, 20)
        torch.testing.assert_close(structural_similarity(images, images), torch.ones(2))
        flat = torch.zeros(2, 20, 20)
        torch.testing.assert_close(structural_similarity(flat, flat), torch.ones(2))
        for shape in ((2, 10, 20), (2, 1, 20, 20)):
            with pytest.raises(InputError, match="at least 11 x 11"):
                structural_similarity(torch.zeros(shape), torch.zeros(shape))

    def test_long_ones_are_worked_at_in_blocks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        generator = torch.Generator().manual_seed(0)
        target = torch.rand(2, 60, 20, generator=generator, dtype=torch.double)
        output = target + 0.3 * torch.rand(2, 60, 20, generator=generator)
        waveforms = torch.rand(2, 2, 8000, generator=generator) - 0.5
        whole = structural_similarity(output, target), log_spectral_distance(*waveforms)
        monkeypatch.setattr("audiate.metrics.reconstruction._SSIM_ROWS", 7)
        monkeypatch.setattr("audiate.metrics.reconstruction._FRAMES", 10)
        torch.testing.assert_close(structural_similarity(output, target), whole[0])
        torch.testing.assert_close(log_spectral_distance(*waveforms), whole[1])

    @pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc on this system")
    def test_a_minute_needs_no_more_than_its_spectra(self) -> None:
        code = (
            "import torch; from audiate.metrics.reconstruction import score_clips\n"
            "clips = torch.rand(2, 1, 1, LENGTH) - 0.5\n"
            "score_clips(clips[0], clips[1], 16_000, None)"
        )
        second, minute = (
            peak_megabytes(code.replace("LENGTH", str(length))) for length in (16_000, 960_000)
        )
        # With windows as one matrix it were 450 MB for that matrix alone.
        assert minute - second < 300

    def test_a_pair_has_its_own_range(self) -> None:
        quiet = torch.rand(1, 20, 20)
        both = torch.cat([quiet, 100 * quiet])
        noisy = both + both * 0.1 * torch.rand(1, 20, 20)
        first, second = structural_similarity(noisy, both)
        assert first.item() == pytest.approx(second.item(), abs=1e-5)

    def test_log_spectral_distance_of_a_gain_is_the_gain(self) -> None:
        waveforms = torch.rand(2, 8000, generator=torch.Generator().manual_seed(0)) - 0.5
        found = log_spectral_distance(0.5 * waveforms, waveforms)
        torch.testing.assert_close(found, torch.full((2,), 6.0206), atol=1e-3, rtol=0)
        assert (log_spectral_distance(waveforms, waveforms) == 0).all()

    def test_mean_squared_error_by_hand(self) -> None:
        target = torch.zeros(2, 1, 10)
        output = target + torch.tensor([1.0, 2.0]).view(-1, 1, 1)
        assert mean_squared_error(output, target).tolist() == [1, 4]


def test_clips_that_are_too_long_or_too_short_to_score() -> None:
    for samples, complaint in ((1000, "give at least 1408"), (MAX_COMPARED + 1, "are compared")):
        clips = torch.zeros(1).expand(1, 1, samples)
        with pytest.raises(InputError, match=complaint):
            score_clips(clips, clips, 16_000, None)


class TestDistanceFromPrior:
    def test_as_scipy_has_it(self) -> None:
        random = torch.Generator().manual_seed(0)
        prior = 2 * torch.rand(30, 7, generator=random) - 1
        latent = torch.randn(5, 7, generator=random)
        expected = [
            scipy.stats.wasserstein_distance(each.double(), prior.double().flatten())
            for each in latent
        ]
        torch.testing.assert_close(
            distance_from_prior(latent, prior), torch.tensor(expected, dtype=torch.double)
        )

    def test_of_the_edges_and_of_the_middle(self) -> None:
        prior = torch.linspace(-1, 1, 2000).view(-1, 10)
        latent = torch.stack([torch.zeros(10), torch.tensor([-1.0, 1.0]).repeat(5)])
        found = distance_from_prior(latent, prior)
        torch.testing.assert_close(found, torch.full((2,), 0.5).double(), atol=1e-3, rtol=0)


class TestMelDistance:
    def test_against_librosa(self) -> None:
        source = torch.Generator().manual_seed(0)
        target = 0.1 * torch.randn(1, 16_000, generator=source)
        output = 0.5 * target + 0.02 * torch.randn(1, 16_000, generator=source)
        levels = [
            librosa.power_to_db(
                wide_mel_filters(16_000, 1024, 80).numpy()
                @ np.abs(librosa.stft(each[0].numpy(), n_fft=1024, hop_length=256)) ** 2,
                top_db=None,
                amin=1e-20,
            )
            for each in (output, target)
        ]
        expected = np.sqrt(((levels[0] - levels[1]) ** 2).mean(0))[2:-2].mean()
        found = mel_distance(output, target, 16_000).item()
        assert found == pytest.approx(expected, rel=0.02)

    def test_a_gain_is_its_level_and_silence_does_not_count(self) -> None:
        sound = torch.zeros(2, 16_000)
        sound[:, 4000:9000] = 0.1 * torch.randn(5000, generator=torch.Generator().manual_seed(0))
        found = mel_distance(0.5 * sound, sound, 16_000)
        assert found.tolist() == pytest.approx([20 * np.log10(2)] * 2, abs=0.3)
        noisy = sound.clone()
        noisy[:, :3000] = 0.1
        assert mel_distance(noisy, sound, 16_000).max() < 0.1
        assert mel_distance(sound, torch.zeros_like(sound), 16_000).isnan().all()
