"""Groups of like words among recordings without labels, for the codes of a generator.

A published Q-network learns what the generator makes of its code, which may be the voice as well as
the word. Here the Q-network first learns groups of real clips, so that a code begins with a word.
Nothing but the clips is used, and these assumptions: words are about equally frequent, and each is
said under every recording condition (a voice with its microphone).

The steps:

1. Recording conditions are groups of clips by level and background noise (k-means), or the voices
   where file names tell them.
2. Under each condition, clips are grouped by a spectral clustering of their aligned words (Ng et
   al. 2002), into groups of even size (by the iteration of Sinkhorn and Knopp 1967, as in Caron et
   al. 2020).
3. The groups of all conditions are matched, one to one, so that clips and their nearest neighbours
   under other conditions agree (the Hungarian algorithm, in turn for each condition).
4. The Q-network learns the groups on clips that are changed at random, and reads all clips. Its
   readings, brought to groups of even size under each condition, are learnt in the next round.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2
from scipy.optimize import linear_sum_assignment
from scipy.sparse.linalg import eigsh
from torch import Tensor

from audiate.models.codes import WordCodeNetwork
from audiate.training.augment import augmented

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

MOST_CLIPS = 2_500
"""Number of clips, chosen evenly, that groups are found among; the Q-network sorts the others."""

_ROUNDS = 4  # of step 4
_STEPS = 150  # updates of the Q-network in each round
_BATCH = 256
_VIEWS = 6  # changed copies of each clip
_CONDITIONS = 8  # most conditions that are looked for
_APART = 0.33  # least silhouette at which conditions count as different
_LEAST_CLIPS = 40  # among which conditions are looked for
_LEVEL_WEIGHT = 3.0  # of a decibel of level, beside one of noise in a band
_LENGTH_WEIGHT = 8.0  # of the word's length, beside one value of its spectrogram
_NEIGHBOURS = 6
_MATCHES = 30  # first numberings that are tried


class Discovery(NamedTuple):
    """Groups of like words.

    Attributes:
        groups: The group (n,), int64, of each clip.
        conditions: The number of recording conditions.
        certain: Mean probability that the Q-network gives to a clip's group.

    """

    groups: Tensor
    conditions: int
    certain: float


def discover(
    network: WordCodeNetwork,
    waveforms: Tensor,
    count: int,
    seed: int,
    voices: Tensor | None = None,
) -> Discovery:
    """Sort clips into groups of like words, and train a Q-network's layers to do so.

    Args:
        network: The Q-network, whose layers learn; its head is not used.
        waveforms: Clips (n, channels, samples) at the level at which they were recorded.
        count: Number of groups.
        seed: Seed of everything random.
        voices: The voice (n,), int64, of each clip, in place of conditions that are looked for.

    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        power = torch.cat([network.power(part) for part in torch.split(waveforms, 100)])
        words = network.features.find_words(power)
        chosen = _spread_out(len(power), MOST_CLIPS)
        if voices is None:
            conditions = find_conditions(recording_features(waveforms[chosen], power[chosen]))
        else:
            conditions = voices[chosen].numpy()
        views = network.features.view(power[chosen], words[chosen])
        length = (words[chosen, 1] - words[chosen, 0] + 1).log()
        groups = first_groups(views, length, conditions, count)
        changed = torch.stack(
            [_changed(network, power[chosen], words[chosen]) for _ in range(_VIEWS)]
        )
        for _ in range(_ROUNDS):
            head = _learn(network, changed, torch.from_numpy(groups), count)
            groups = _even(_read(network, head, [views, *changed]), conditions)
        every = _read(network, head, [network.features.view(power, words)])
        found = torch.from_numpy(every.argmax(1))
        found[chosen] = torch.from_numpy(groups)
        certain = np.exp(every[np.arange(len(found)), found.numpy()]).mean()
        return Discovery(found, len(np.unique(conditions)), float(certain))


def first_groups(views: Tensor, length: Tensor, conditions: Integers, count: int) -> Integers:
    """Groups (n,) of aligned words, before the Q-network learns them.

    Args:
        views: Spectrograms (n, bands, frames) in [0, 1] in which the word fills every frame.
        length: The logarithm (n,) of each word's length.
        conditions: The recording condition (n,) of each clip.
        count: Number of groups.

    """
    seen = F.avg_pool1d(views, 2).flatten(1).double().numpy()
    alone = _within(principal(seen, 60), conditions, count)
    both = np.concatenate([seen, _LENGTH_WEIGHT * length.double().numpy()[:, None]], 1)
    near = _graph(principal(normalised(both, conditions), 80), conditions)
    return match_groups(near, conditions, alone, count)


def recording_features(waveforms: Tensor, power: Tensor) -> Array:
    """Level and background noise (n, 1 + bands / 2) of clips, in dB: what tells conditions apart.

    Args:
        waveforms: Clips (n, channels, samples).
        power: Their mel power (n, bands, frames), as `WordCodeNetwork.power` gives it.

    """
    peak = waveforms.abs().amax((1, 2)).clamp_min(1e-5)
    level = 20 * peak.log10().double().numpy()
    noise = []
    for each in power.double():
        energy = each.sum(0)
        heard = energy > 1e-10 * energy.max()  # less is the zeros about a clip
        order = energy[heard].argsort()[: max(int(heard.sum()) // 10, 2)]
        quiet = each[:, heard][:, order].clamp_min(1e-12).log10().mul(10).mean(1)
        noise.append(F.avg_pool1d(quiet[None], 2)[0].numpy())
    return np.concatenate([_LEVEL_WEIGHT * level[:, None], np.stack(noise)], 1)


def find_conditions(features: Array) -> Integers:
    """The recording condition (n,) of each clip, by features (n, dim) in dB.

    Their number is that with the largest mean silhouette (Rousseeuw 1987). It is 1 where no
    silhouette is a third or more.
    """
    found = np.zeros(len(features), dtype=np.int64)
    if len(features) < _LEAST_CLIPS:
        return found
    distances, best = np.sqrt(_squares(features, features)), _APART
    for count in range(2, _CONDITIONS + 1):
        groups = _nearest_means(features, count)
        many = np.bincount(groups, minlength=count).min() >= _LEAST_CLIPS / 4
        value = silhouette(distances, groups)
        if many and value >= best:
            best, found = value, groups
    return found


def silhouette(distances: Array, groups: Integers) -> float:
    """Mean silhouette, in [-1, 1], of groups (n,) with distances (n, n) (Rousseeuw 1987)."""
    onehot = np.eye(int(groups.max()) + 1)[groups]
    sizes = onehot.sum(0)
    means = distances @ onehot / sizes
    own = means[np.arange(len(groups)), groups] * sizes[groups] / np.maximum(sizes[groups] - 1, 1)
    means[np.arange(len(groups)), groups] = np.inf
    other = means.min(1)
    return float(((other - own) / np.maximum(np.maximum(own, other), 1e-12)).mean())


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


def balanced(values: Array, means: Array, rounds: int = 30) -> tuple[Integers, float]:
    """Sort values (n, dim) into groups of even size that begin at means (count, dim).

    Soft k-means, whose shares are brought to an even size by the iteration of Sinkhorn and Knopp
    1967, and harden from round to round.

    Returns:
        The groups (n,), and the mean squared distance to the means of the groups.

    """
    count, scale = len(means), 0.0
    shares = distances = np.zeros((len(values), count))
    for turn in range(rounds):
        distances = _squares(values, means)
        scale = scale or float(distances.min(1).mean()) + 1e-9
        temperature = scale * (0.3 + (0.05 - 0.3) * turn / rounds)
        shares = _balance(np.exp((distances.min(1, keepdims=True) - distances) / temperature))
        means = shares.T @ values / np.maximum(shares.sum(0), 1e-9)[:, None]
    return shares.argmax(1), float((shares * distances).sum() / len(values))


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


def _improve(joint: Array, order: Integers) -> float:
    """Renumber the groups of one condition after the other in ``order`` (conditions, count).

    ``joint`` (conditions, count, conditions, count) tells how near groups are. The result is how
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
            order[own] = linear_sum_assignment(-gain)[1]
            value += float(gain[np.arange(count), order[own]].sum())
        if value <= last + 1e-9:
            break
        last = value
    return value


def _even(logits: Array, conditions: Integers) -> Integers:
    """Groups (n,) of even size under each condition, by logarithms (n, count) of probability."""
    groups = np.zeros(len(logits), dtype=np.int64)
    for condition in np.unique(conditions):
        own = conditions == condition
        shares = np.exp(logits[own] - logits[own].max(1, keepdims=True))
        groups[own] = _balance(shares).argmax(1)
    return groups


def _balance(shares: Array) -> Array:
    """Shares (n, count), at least 0, whose rows sum to 1 and whose columns are of one size."""
    for _ in range(50):
        shares = shares * (len(shares) / shares.shape[1] / np.maximum(shares.sum(0), 1e-9))
        shares = shares / np.maximum(shares.sum(1, keepdims=True), 1e-9)
    return shares


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


def _within(values: Array, conditions: Integers, count: int) -> Integers:
    """Groups (n,) of the clips under each condition by itself."""
    groups = np.zeros(len(values), dtype=np.int64)
    for condition in np.unique(conditions):
        own = conditions == condition
        alone = np.zeros(int(own.sum()), dtype=np.int64)
        points = _spectral(_graph(values[own], alone), count)
        tries = (balanced(points, _first_means(points, count, turn)) for turn in range(5))
        groups[own] = min(tries, key=lambda found: found[1])[0]
    return groups


def _graph(values: Array, conditions: Integers) -> Array:
    """Weights (n, n) between each clip and its nearest under every condition."""
    distances = np.sqrt(_squares(values, values))
    np.fill_diagonal(distances, np.inf)
    weights = np.zeros_like(distances)
    rows = np.arange(len(values))[:, None]
    for condition in np.unique(conditions):
        columns = np.flatnonzero(conditions == condition)
        near = min(_NEIGHBOURS, max(len(columns) - 1, 1))
        order = np.argsort(distances[:, columns], 1)[:, :near]
        least = np.take_along_axis(distances[:, columns], order, 1)
        close = np.exp(-np.square(least / (least[:, -1:] + 1e-9)))
        weights[rows, columns[order]] = np.where(np.isfinite(least), close, 0) * len(columns)
    joint: Array = (weights + weights.T) / len(values)
    return joint


def _spectral(weights: Array, dims: int) -> Array:
    """Points (n, dims) of length 1: the spectral embedding of a graph (Ng et al. 2002)."""
    degrees = np.sqrt(weights.sum(1) + 1e-9)
    dims = min(dims, len(weights) - 1)
    start = np.ones(len(weights))  # its own default is random
    _, vectors = eigsh(weights / degrees[:, None] / degrees, k=dims, which="LA", v0=start)
    points: Array = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return points


def _learn(network: WordCodeNetwork, views: Tensor, groups: Tensor, count: int) -> torch.nn.Linear:
    """Train the Q-network's layers, and a head that is returned, on views (copies, n, ...)."""
    head = torch.nn.Linear(network.head.in_features, count)
    parameters = [*network.layers.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, 2e-3, weight_decay=1e-2)
    network.train()
    for _ in range(_STEPS):
        rows = torch.randint(views.shape[1], (min(_BATCH, 2 * views.shape[1]),))
        copies = torch.randint(len(views), (len(rows),))
        hidden = F.dropout(network.embed(views[copies, rows]), 0.3)
        loss = F.cross_entropy(head(hidden), groups[rows], label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    network.eval()
    return head


@torch.no_grad()
def _read(network: WordCodeNetwork, head: torch.nn.Linear, copies: Sequence[Tensor]) -> Array:
    """Logarithms (n, count) of the probability of each group: the mean over a clip's copies."""
    read = [head(network.embed(copy)).log_softmax(1) for copy in copies]
    found: Array = torch.stack(read).mean(0).double().numpy()
    return found


def _changed(network: WordCodeNetwork, power: Tensor, words: Tensor) -> Tensor:
    parts = zip(torch.split(power, 200), torch.split(words, 200), strict=True)
    return torch.cat([augmented(network.features, *part) for part in parts])


def _spread_out(count: int, most: int) -> Tensor:
    """Numbers of at most ``most`` of ``count`` clips, evenly spread over their order."""
    return torch.linspace(0, count - 1, min(count, most)).round().long()


def _first_means(values: Array, count: int, seed: int) -> Array:
    """Means (count, dim) of a k-means that begins as Arthur and Vassilvitskii 2007 have it."""
    source = np.random.default_rng(seed)
    means: Array = kmeans2(values, count, minit="++", rng=source, missing="warn")[0]
    return means


def _nearest_means(values: Array, count: int) -> Integers:
    """Groups (n,) of the best of five k-means."""
    tries = [_first_means(values, count, seed) for seed in range(5)]
    distances = min((_squares(values, means) for means in tries), key=lambda d: d.min(1).sum())
    groups: Integers = distances.argmin(1)
    return groups


def _squares(one: Array, other: Array) -> Array:
    """Squared distances (n, m) of rows (n, dim) and (m, dim)."""
    both = np.square(one).sum(1)[:, None] + np.square(other).sum(1)[None] - 2 * one @ other.T
    found: Array = np.maximum(both, 0)
    return found
