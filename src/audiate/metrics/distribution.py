"""Metrics of sets of samples: Inception Score, Fréchet and kernel distance, recall, coverage."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from audiate.errors import InputError, check_range

_ROWS = 200  # rows of a distance matrix at a time: 16 MB for 10,000 columns


def frechet_distance(
    real: Tensor,
    fake: Tensor,
    *,
    real_strata: Tensor | None = None,
    fake_strata: Tensor | None = None,
) -> float:
    """Squared Fréchet distance of the Gaussians that have the mean and covariance of two sets.

    ``|m1 - m2|² + tr(S1 + S2 - 2 (S1 S2)^(1/2))``, with unbiased covariances: Dowson & Landau 1982;
    Heusel et al. 2017, equation 6, whose features are other ones, so do not compare the values
    with a published FID. At least 0, in squared units of the features; 0 for equal sets. Biased
    upwards for small sets: what two sets of real images have is as near as one can come.

    Args:
        real: Features (count, dim).
        fake: Features (another count, dim).
        real_strata: (count,), int64: the stratum of each real item. Each stratum weighs the same,
            however many items it has. By default, each item weighs the same.
        fake_strata: Likewise for the fake items.

    Raises:
        InputError: A set has less than 2 items, or a value that is not finite.

    """
    _check_sets(real, fake, least=2)
    means, roots = [], []
    for features, strata in ((real.double(), real_strata), (fake.double(), fake_strata)):
        # R.T @ R is the covariance, which is never formed: its square root would turn a rounding
        # error of 1e-16, where a feature is constant, into one of 1e-8.
        if strata is None:
            mean = features.mean(0)
            root = torch.linalg.qr(features - mean, mode="r").R / (len(features) - 1) ** 0.5
        else:
            weights = stratum_weights(strata).unsqueeze(1)
            mean = (weights * features).sum(0)
            root = torch.linalg.qr(weights.sqrt() * (features - mean), mode="r").R
            root /= (1 - weights.square().sum()).sqrt()
        means.append(mean)
        roots.append(root)
    first, second = roots
    # S1 S2 has the eigenvalues of (R1 R2.T)(R1 R2.T).T, the squares of these singular values.
    cross = torch.linalg.svdvals(first @ second.T).sum()
    spread = first.square().sum() + second.square().sum() - 2 * cross
    shift = (means[0] - means[1]).square().sum()
    distance: float = (shift + spread.clamp_min(0)).item()
    return distance


def stratum_weights(strata: Tensor) -> Tensor:
    """Weights (count,), float64, of sum 1, of items (count,): each stratum weighs the same."""
    _, index, counts = torch.unique(strata, return_inverse=True, return_counts=True)
    weights: Tensor = 1 / (len(counts) * counts[index].double())
    return weights


class KernelDistance(NamedTuple):
    """A squared kernel distance, and its standard error by the jackknife over blocks."""

    value: float
    error: float


def kernel_distance(
    real: Tensor,
    fake: Tensor,
    *,
    real_strata: Tensor | None = None,
    fake_strata: Tensor | None = None,
    blocks: int = 10,
) -> KernelDistance:
    """Kernel distance (KID): squared maximum mean discrepancy with a cubic kernel.

    ``E k(x, x') + E k(y, y') - 2 E k(x, y)`` with ``k(x, y) = (x·y / dim + 1)³`` and pairs of
    different items: Bińkowski et al. 2018, section 4; Gretton et al. 2012, lemma 6. It has no bias
    for sets of any size, so that it is about 0, and may be negative, where both sets have one
    distribution; it has no unit that means anything elsewhere.

    The standard error leaves out each of some blocks of both sets in turn (Efron & Tibshirani 1993,
    chapter 11). The items of a stratum are dealt to the blocks in turn.

    Args:
        real: Features (count, dim).
        fake: Features (another count, dim).
        real_strata: (count,), int64: the stratum of each real item, from which it was drawn at
            random. Each stratum weighs the same. By default, there is one.
        fake_strata: Likewise for the fake items.
        blocks: Number of blocks, at least 3.

    Raises:
        InputError: A set or a stratum has less than 3 items, which are the least that leave 2
            whichever block is left out, a value is not finite, or ``blocks`` is less than 3.

    """
    check_range("blocks", blocks, 3, float("inf"))
    _check_sets(real, fake, least=3)
    dealt = [_deal(*each, blocks) for each in ((real, real_strata), (fake, fake_strata))]
    items, cells, counts = zip(*dealt, strict=True)
    sums = {
        (i, j): _kernel_sums(items[i], items[j], cells[i], cells[j], other=i != j)
        .cpu()
        .view(-1, blocks, cells[j].shape[1] // blocks, blocks)
        for i, j in ((0, 0), (1, 1), (0, 1))
    }

    def estimate(kept: list[int]) -> Tensor:
        sizes = [count[:, kept].sum(1) for count in counts]
        total = torch.zeros((), dtype=torch.double)
        for (i, j), sign in (((0, 0), 1), ((1, 1), 1), ((0, 1), -2)):
            pairs = torch.outer(sizes[i], sizes[j])
            if i == j:
                pairs -= torch.diag(sizes[i])
            total += sign * (sums[i, j][:, kept][..., kept].sum((1, 3)) / pairs).mean()
        return total

    without = torch.stack(
        [estimate([b for b in range(blocks) if b != left]) for left in range(blocks)]
    )
    error = ((blocks - 1) * without.var(correction=0)).sqrt()
    return KernelDistance(estimate(list(range(blocks))).item(), error.item())


def _kernel_sums(
    first: Tensor, second: Tensor, rows: Tensor, columns: Tensor, *, other: bool
) -> Tensor:
    """Sums of the cubic kernel over the pairs of each two cells; ``rows`` mark the items' cells.

    Without ``other``, both sets are one, and no item is paired with itself.
    """
    sums = torch.zeros(rows.shape[1], columns.shape[1], dtype=torch.double, device=first.device)
    dim = first.shape[1]
    for part, marks in zip(torch.split(first, _ROWS), torch.split(rows, _ROWS), strict=True):
        sums += marks.T @ (part @ second.T / dim + 1).pow(3) @ columns
    if not other:
        own = (first.square().sum(1) / dim + 1).pow(3)
        sums -= torch.diag(rows.T @ own)
    return sums


class InceptionScore(NamedTuple):
    """Mean over splits, and their standard deviation (divided by their number)."""

    mean: float
    std: float


def inception_score(logits: Tensor, *, splits: int = 10) -> InceptionScore:
    """``exp(E KL(p(y|x) || p(y)))``, Salimans et al. 2016, section 4, on each of some splits.

    p(y) is the mean over a split. The score is 1 where all samples get the same probabilities, and
    at most the number of classes, where each sample is of one class for certain and all classes
    are as frequent. Splits are consecutive and of equal size, but for one item. Few samples in a
    split bias the score downwards.

    Args:
        logits: Logits (count, classes) of a classifier.
        splits: Number of splits, at least 1.

    Raises:
        InputError: Fewer samples than splits, or logits that are not finite.

    """
    check_range("splits", splits, 1, float("inf"))
    if len(logits) < splits:
        raise InputError(f"{len(logits)} samples: give at least one for each of {splits} splits")
    _check_logits(logits)
    scores = []
    for part in logits.double().log_softmax(1).tensor_split(splits):
        # The logarithm of the mean of probabilities, without a logarithm of 0.
        marginal = part.logsumexp(0) - torch.tensor(len(part)).double().log()
        scores.append((part.exp() * (part - marginal)).sum(1).mean().exp())
    each = torch.stack(scores)
    return InceptionScore(each.mean().item(), each.std(correction=0).item())


def modified_inception_score(logits: Tensor) -> float:
    """``exp(E_i E_j KL(p(y|x_i) || p(y|x_j)))``, Gurumurthy et al. 2017, section 4.3 (mIS).

    The divergence of each sample's probabilities from each other's, in nats, over all ordered
    pairs: ``exp(Σ_y (E p ln p - E p · E ln p))``. It rewards samples that differ where they are
    of one class, too. It is 1 where all samples get the same probabilities, and has no upper
    bound: that a classifier is more sure of every sample raises it. Kong et al. 2021 and Goel et
    al. 2022 report it of spoken digits.

    Args:
        logits: Logits (count, classes) of a classifier.

    Raises:
        InputError: There is no sample, or logits are not finite.

    """
    _check_logits(logits)
    logarithms = logits.double().log_softmax(1)
    shares = logarithms.exp()
    divergence = (shares * logarithms).mean(0) - shares.mean(0) * logarithms.mean(0)
    return divergence.sum().exp().item()


def am_score(real: Tensor, fake: Tensor) -> float:
    """``KL(E p(y|real) || E p(y|fake)) + E H(p(y|fake))``, Zhou et al. 2018, section 6.2 (AM).

    In nats, at least 0; lower is better. The first term tells how far the shares of the classes
    are from those of the real samples, the second how unsure the classifier is of a sample. Kong et
    al. 2021 and Goel et al. 2022 report it of spoken digits, with their train clips as real.

    Args:
        real: Logits (count, classes) of a classifier on real samples.
        fake: Logits (another count, classes) on samples to score.

    Raises:
        InputError: There is no sample, or logits are not finite.

    """
    _check_logits(real)
    _check_logits(fake)
    known, found = (each.double().log_softmax(1) for each in (real, fake))
    expected, marginal = (
        each.logsumexp(0) - torch.tensor(len(each)).double().log() for each in (known, found)
    )
    shift = (expected.exp() * (expected - marginal)).sum()
    entropy = -(found.exp() * found).sum(1).mean()
    return (shift + entropy).item()


def _check_logits(logits: Tensor) -> None:
    if not len(logits):
        raise InputError("0 samples: give at least one")
    if not logits.isfinite().all():
        raise InputError("the logits are not all finite: leave such samples out")


class Fidelity(NamedTuple):
    """Precision, recall, density and coverage of a set of features; see `neighbourhoods`.

    Attributes:
        precision: Share of the fake items within the neighbourhood of any real one, in [0, 1].
        recall: Share of the real items within the neighbourhood of any fake one, in [0, 1].
        density: Mean number of neighbourhoods of real items that a fake one lies in, divided by
            ``neighbours``: at least 0, expected 1 where both sets have one distribution.
        coverage: Share of the real items with a fake one in their neighbourhood, in [0, 1].

    """

    precision: float
    recall: float
    density: float
    coverage: float


def neighbourhoods(real: Tensor, fake: Tensor, *, neighbours: int = 5) -> Fidelity:
    """Precision, recall, density and coverage of ``fake`` with respect to ``real``.

    Kynkäänniemi et al. 2019, equations 1 and 2; Naeem et al. 2020, section 3. The neighbourhood
    of an item is the ball around it that reaches to the ``neighbours``-th nearest other item of
    its own set. The ball is open, as in the code of Naeem et al.: of copies of one item, more than
    ``neighbours`` of them, it is empty, so that a collapsed generator recalls nothing.

    Where both sets have one distribution, n real and m fake items, and k neighbours, the expected
    density is 1 and the expected coverage 1 - (n-1)…(n-k) / ((m+n-1)…(m+n-k)), about 1 - 2^-k for
    n = m (there, by counting which of the n-1+m others are among the k nearest).

    Args:
        real: Features (n, dim).
        fake: Features (m, dim).
        neighbours: k, at least 1.

    Raises:
        InputError: ``neighbours`` is below 1, or a set has no more items than that, or a value
            that is not finite.

    """
    check_range("neighbours", neighbours, 1, float("inf"))
    _check_sets(real, fake, least=neighbours + 1)
    origin = real.double().mean(0)  # near it norms are small, and so is what they round away
    real, fake = real.double() - origin, fake.double() - origin
    real_radii, fake_radii = _radii(real, neighbours), _radii(fake, neighbours)
    precise = torch.zeros(len(fake), dtype=torch.bool, device=fake.device)
    recalled = pairs = covered = 0
    blocks = _squared_distances(real, fake)
    for distances, radii in zip(blocks, torch.split(real_radii, _ROWS), strict=True):
        near_real = distances < radii.unsqueeze(1)
        precise |= near_real.any(0)
        pairs += int(near_real.sum())
        covered += int(near_real.any(1).sum())
        recalled += int((distances < fake_radii).any(1).sum())
    return Fidelity(
        precision=precise.double().mean().item(),
        recall=recalled / len(real),
        density=pairs / (neighbours * len(fake)),
        coverage=covered / len(real),
    )


def pixel_spread(images: Tensor, labels: Tensor) -> float:
    """Standard deviation of a pixel among the images of one label.

    The square root of the mean, over pixels and over the labels that occur, of the pixel's
    variance among the images of that label (divided by their number). Each label weighs the same.

    Args:
        images: (count, height, width) in [0, 1].
        labels: (count,), int64.

    Returns:
        In [0, 0.5], units of the pixels; 0 where all images of a label are the same.

    """
    variances = [
        images[labels == label].double().var(0, correction=0).mean()
        for label in torch.unique(labels)
    ]
    return torch.stack(variances).mean().sqrt().item()


def spread_of(items: Tensor) -> Tensor:
    """The mean, over all entries, of their standard deviation among items (count, ...).

    A scalar; 0 where all items are the same.
    """
    return items.std(0, correction=0).mean()


def _deal(features: Tensor, strata: Tensor | None, blocks: int) -> tuple[Tensor, Tensor, Tensor]:
    """Deal the items of each stratum to blocks, in turn.

    Returns:
        Features (n, dim), float64; which cell of (strata * blocks) each is in, one-hot (n, cells);
        and the number of items in each cell, (strata, blocks).

    """
    if strata is None:
        strata = torch.zeros(len(features), dtype=torch.int64)
    _, index, sizes = torch.unique(strata.cpu(), return_inverse=True, return_counts=True)
    if sizes.min() < 3:
        raise InputError(f"a stratum of {sizes.min()} items: give at least 3")
    one_hot = torch.nn.functional.one_hot(index)
    turn = one_hot.cumsum(0).gather(1, index.unsqueeze(1)).squeeze(1) - 1
    cell = index * blocks + turn % blocks
    marks = torch.nn.functional.one_hot(cell, len(sizes) * blocks).double()
    return features.double(), marks.to(features.device), marks.sum(0).view(-1, blocks)


def _check_sets(real: Tensor, fake: Tensor, *, least: int) -> None:
    for name, features in (("real", real), ("fake", fake)):
        if len(features) < least:
            raise InputError(f"{len(features)} {name} items: give at least {least}")
        if not features.isfinite().all():
            raise InputError(f"the {name} features are not all finite: leave such items out")


def _radii(features: Tensor, neighbours: int) -> Tensor:
    """Squared distance (count,) of each item to its ``neighbours``-th nearest other one."""
    # One more, for each item is the nearest to itself.
    blocks = _squared_distances(features, features)
    return torch.cat([b.topk(neighbours + 1, largest=False).values[:, -1] for b in blocks])


def _squared_distances(first: Tensor, second: Tensor) -> Iterator[Tensor]:
    """Squared distances (first, second), float32, of float64 vectors, `_ROWS` rows at a time.

    A matrix product is fast but errs by some 1e-15 of the squared norms. So what is less than
    1e-12 of them is taken for a copy, at distance 0, and float32 makes ties of what differs by
    rounding alone.
    """
    norms = second.square().sum(1)
    for rows in torch.split(first, _ROWS):
        own = rows.square().sum(1, keepdim=True)
        squares = torch.addmm(norms, rows, second.T, alpha=-2).add_(own).float()
        # Of a pair so close, both norms are the same.
        yield squares.masked_fill_(squares < 2e-12 * own, 0)


def distance_from_prior(latent: Tensor, prior: Tensor) -> Tensor:
    """Wasserstein distance of the values in each latent from those of the prior.

    It is the distance between the values of a latent and those of many latents of the
    prior, all entries of which are to have one distribution. A latent that a search has driven to
    the edges of the prior's box, or beyond, is far from it, and so is one whose values are all
    small; neither can be changed as samples of the prior can.

    Args:
        latent: Latents (batch, latent_dim).
        prior: Latents (n, latent_dim) of the prior.

    Returns:
        Distances (batch,), at least 0. Those of the prior's own latents are small, but not 0.

    """
    values = latent.double().sort(1).values.repeat_interleave(len(prior), 1)
    expected = prior.double().flatten().sort().values
    return (values - expected).abs().mean(1)
