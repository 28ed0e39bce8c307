"""Cluster rows of arrays: k-means, spectral clustering, groups of even size, matching.

`audiate.training.discovery` finds the words among recordings with it.
"""

import warnings

import numpy as np
import scipy  # whose parts are imported on first use
import torch
from numpy.typing import NDArray

from audiate.utils.progress import tracked

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

_NEIGHBOURS = 6
_ROUNDS = 30  # of soft k-means
_MATCHES = 30  # first numberings that are tried
_PAIRS = 20_000  # of series, compared at a time


def silhouette(distances: Array, groups: Integers) -> float:
    """Mean silhouette, in [-1, 1], of groups (n,) with distances (n, n) (Rousseeuw 1987)."""
    onehot = np.eye(int(groups.max()) + 1)[groups]
    sizes = onehot.sum(0)
    means = distances @ onehot / sizes
    own = means[np.arange(len(groups)), groups] * sizes[groups] / np.maximum(sizes[groups] - 1, 1)
    means[np.arange(len(groups)), groups] = np.inf
    other = means.min(1)
    return float(((other - own) / np.maximum(np.maximum(own, other), 1e-12)).mean())


def nearest_means(values: Array, count: int) -> Integers:
    """Groups (n,) of the best of five k-means."""
    tries = [_first_means(values, count, seed) for seed in range(5)]
    distances = [squared_distances(values, means) for means in tries]
    groups: Integers = min(distances, key=lambda each: each.min(1).sum()).argmin(1)
    return groups


def balanced(values: Array, means: Array) -> tuple[Integers, float]:
    """Sort values (n, dim) into groups of even size that begin at means (count, dim).

    Soft k-means, whose shares are brought to an even size by the iteration of Sinkhorn and Knopp
    1967, and harden from round to round.

    Returns:
        The groups (n,), and the mean squared distance to the means of the groups.

    """
    count, scale = len(means), 0.0
    shares = distances = np.zeros((len(values), count))
    for turn in range(_ROUNDS):
        distances = squared_distances(values, means)
        scale = scale or float(distances.min(1).mean()) + 1e-9
        temperature = scale * (0.3 + (0.05 - 0.3) * turn / _ROUNDS)
        shares = even_shares(np.exp((distances.min(1, keepdims=True) - distances) / temperature))
        means = shares.T @ values / np.maximum(shares.sum(0), 1e-9)[:, None]
    return shares.argmax(1), float((shares * distances).sum() / len(values))


def group_within(distances: Array, conditions: Integers, count: int) -> Integers:
    """Groups (n,) of even size, by a spectral clustering under each condition by itself.

    Args:
        distances: (n, n), between clips.
        conditions: The condition (n,) of each clip.
        count: Number of groups under each condition.

    """
    groups = np.zeros(len(distances), dtype=np.int64)
    for condition in np.unique(conditions):
        own = conditions == condition
        alone = np.zeros(int(own.sum()), dtype=np.int64)
        points = _spectral(neighbour_graph(distances[np.ix_(own, own)], alone), count)
        tries = (balanced(points, _first_means(points, count, turn)) for turn in range(5))
        groups[own] = min(tries, key=lambda found: found[1])[0]
    return groups


def match_groups(near: Array, conditions: Integers, groups: Integers, count: int) -> Integers:
    """Number the groups of all conditions alike, so that neighbours agree.

    Args:
        near: Weights (n, n) between clips and their nearest neighbours.
        conditions: The condition (n,) of each clip.
        groups: The group (n,) of each clip among those of its condition.
        count: Number of groups under each condition.

    Returns:
        Groups (n,), which mean the same under every condition.

    """
    every, place = np.unique(conditions, return_inverse=True)
    if len(every) == 1:
        return groups
    member = np.eye(len(every) * count)[place * count + groups]
    size = np.sqrt(member.sum(0) + 1e-9)
    joint = (member.T @ near @ member / size[:, None] / size).reshape(
        len(every), count, len(every), count
    )
    source = np.random.default_rng(0)
    best, found = -np.inf, groups
    for turn in range(_MATCHES):
        order = np.stack([source.permutation(count) if turn else np.arange(count) for _ in every])
        value = _improve(joint, order)
        if value > best:
            best, found = value, order[place, groups]
    return found


def arrange_binary(network_means: Array) -> Integers:
    """Numbers (count,) for groups, such that groups that are alike share the first binary digits.

    Args:
        network_means: The mean (count, dim) of each group; ``count`` is a power of two.

    """
    numbers = np.zeros(len(network_means), dtype=np.int64)

    def split(members: Integers) -> None:
        if len(members) == 1:
            return
        order = members[np.argsort(principal(network_means[members], 1)[:, 0], kind="stable")]
        half = len(order) // 2
        numbers[order[half:]] += half
        split(order[:half])
        split(order[half:])

    split(np.arange(len(network_means)))
    return numbers


def neighbour_graph(distances: Array, conditions: Integers) -> Array:
    """Weights (n, n), symmetric, between each clip and its six nearest under every condition.

    Args:
        distances: (n, n), between clips.
        conditions: The condition (n,) of each clip.

    """
    distances = distances.copy()
    np.fill_diagonal(distances, np.inf)
    weights = np.zeros_like(distances)
    rows = np.arange(len(distances))[:, None]
    for condition in np.unique(conditions):
        columns = np.flatnonzero(conditions == condition)
        near = min(_NEIGHBOURS, max(len(columns) - 1, 1))
        order = np.argsort(distances[:, columns], 1)[:, :near]
        least = np.take_along_axis(distances[:, columns], order, 1)
        close = np.exp(-np.square(least / (least[:, -1:] + 1e-9)))
        weights[rows, columns[order]] = np.where(np.isfinite(least), close, 0) * len(columns)
    joint: Array = (weights + weights.T) / len(distances)
    return joint


def warped_distances(series: Array, band: int) -> Array:
    """Distances (n, n) of series by dynamic time warping (Sakoe and Chiba 1978).

    It is the least sum of Euclidean distances of frames along a path through both series, divided
    by their number of frames.

    Args:
        series: (n, frames, dim).
        band: Largest number of frames by which a path leaves the diagonal.

    """
    values = torch.from_numpy(series).float()
    frames = values.shape[1]
    found = np.zeros((len(series), len(series)))
    rows, columns = np.triu_indices(len(series), 1)
    parts = np.array_split(np.arange(len(rows)), -(-len(rows) // _PAIRS) or 1)
    for part in tracked(parts, "comparing words"):
        costs = torch.cdist(values[rows[part]], values[columns[part]])
        before = torch.full((frames + 1, len(part)), torch.inf)  # least sums up to a row's frames
        before[0] = 0
        for row in range(frames):
            now = torch.full_like(before, torch.inf)
            for column in range(max(row - band, 0), min(row + band + 1, frames)):
                least = torch.minimum(
                    torch.minimum(before[column], before[column + 1]), now[column]
                )
                now[column + 1] = least + costs[:, row, column]
            before = now
        found[rows[part], columns[part]] = before[frames] / frames
    return found + found.T


def normalised(values: Array, conditions: Integers) -> Array:
    """Values (n, dim) at mean 0 and deviation 1 under each condition."""
    even = np.empty_like(values)
    for condition in np.unique(conditions):
        own = conditions == condition
        even[own] = (values[own] - values[own].mean(0)) / (values[own].std(0) + 0.02)
    return even


def principal(values: Array, most: int) -> Array:
    """The first principal components (n, at most ``most``) of values (n, dim)."""
    centred = values - values.mean(0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    kept: Array = left[:, :most] * sizes[:most]
    return kept


def even_shares(shares: Array) -> Array:
    """Shares (n, count), at least 0, whose rows sum to 1 and whose columns are of one size."""
    for _ in range(50):
        shares = shares * (len(shares) / shares.shape[1] / np.maximum(shares.sum(0), 1e-9))
        shares = shares / np.maximum(shares.sum(1, keepdims=True), 1e-9)
    return shares


def squared_distances(one: Array, other: Array) -> Array:
    """Squared distances (n, m) of rows (n, dim) and (m, dim)."""
    both = np.square(one).sum(1)[:, None] + np.square(other).sum(1)[None] - 2 * one @ other.T
    found: Array = np.maximum(both, 0)
    return found


def _improve(joint: Array, order: Integers) -> float:
    """Renumber the groups of one condition after the other in ``order`` (conditions, count).

    ``joint`` (conditions, count, conditions, count) holds how near groups are. The result is how
    near groups of one number are, which never falls.
    """
    conditions, count = order.shape
    value = last = -np.inf
    for _ in range(50):
        value = 0.0
        for own in range(conditions):
            gain = np.zeros((count, count))
            for other in range(conditions):
                if other != own:
                    gain[:, order[other]] += joint[own, :, other, :]
            order[own] = scipy.optimize.linear_sum_assignment(-gain)[1]
            value += float(gain[np.arange(count), order[own]].sum())
        if value <= last + 1e-9:
            break
        last = value
    return value


def _spectral(weights: Array, dims: int) -> Array:
    """Points (n, dims) of length 1: the spectral embedding of a graph (Ng et al. 2002)."""
    degrees = np.sqrt(weights.sum(1) + 1e-9)
    dims = min(dims, len(weights) - 1)
    start = np.ones(len(weights))  # its own default is random
    scaled = weights / degrees[:, None] / degrees
    try:
        _, vectors = scipy.sparse.linalg.eigsh(scaled, k=dims, which="LA", v0=start)
    except scipy.sparse.linalg.ArpackError:  # eigenvalues are nearly all alike, as clips are
        vectors = scipy.linalg.eigh(scaled)[1][:, -dims:]
    points: Array = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return points


def _first_means(values: Array, count: int, seed: int) -> Array:
    """Means (count, dim) of a k-means that begins as Arthur and Vassilvitskii 2007 have it."""
    source = np.random.default_rng(seed)
    with warnings.catch_warnings():
        # Rows that are all alike leave groups empty, as one that is given twice does; whoever uses
        # the means brings groups to even size, or looks whether they are large enough.
        warnings.simplefilter("ignore")
        means: Array = scipy.cluster.vq.kmeans2(
            values, count, minit="++", rng=source, missing="warn"
        )[0]
    return means
