"""Sort recordings without labels into groups of like words, for the codes of a generator.

A published Q-network learns what the generator makes of its code, which may be the voice as well as
the word. Here the Q-network first learns groups of real clips, so that a code begins with a word.
Nothing but the clips is used, and these assumptions: words are about equally frequent, and each is
said under every recording condition (a voice with its microphone).

The steps:

1. Recording conditions are groups of clips by level and background noise (k-means), or the voices
   where file names hold them. Those of fewer clips than groups are joined to one; where that has
   too few itself, the Q-network sorts its clips at the end.
2. Under each condition, clips are grouped by a spectral clustering (Ng et al. 2002) of the
   distances of their words, which are cepstra that are warped in time (Sakoe and Chiba 1978), into
   groups of even size (by the iteration of Sinkhorn and Knopp 1967, as in Caron et al. 2020).
3. The groups of all conditions are matched, one to one, so that clips and their nearest neighbours
   under other conditions agree (the Hungarian algorithm, in turn for each condition).
4. The Q-network learns the groups on clips that are changed at random, and reads all clips. Its
   readings, brought to groups of even size under each condition, are learnt in the next round.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy  # whose parts are imported on first use
import torch
import torch.nn.functional as F
from torch import Tensor

from audiate.errors import InputError
from audiate.models.code_network import WordCodeNetwork
from audiate.training import grouping
from audiate.training.augment import augmented
from audiate.training.grouping import Array, Integers
from audiate.utils.progress import tracked

MOST_CLIPS = 2_500
"""Number of clips, chosen evenly, that groups are found among; the Q-network sorts the others."""

LEAST_IN_GROUP = 2
"""Number of clips for each group, below which there is nothing to find groups in."""

_ROUNDS = 4  # of step 4
_STEPS = 150  # updates of the Q-network in each round
_BATCH = 256
_VIEWS = 6  # changed copies of each clip
_CONDITIONS = 8  # most conditions that are looked for
_APART = 0.33  # least silhouette at which conditions count as different
_LEAST_CLIPS = 40  # among which conditions are looked for
_LEVEL_WEIGHT = 3.0  # of a decibel of level, beside one of noise in a band
_CEPSTRA = 12  # from the second, as the first is the level (Davis and Mermelstein 1980)
_BAND = 6  # of 24 frames, by which a path of time warping leaves the diagonal
_LENGTH_WEIGHT = 8.0  # of the word's length, beside one value of its spectrogram


class Discovery(NamedTuple):
    """Groups of like words.

    Attributes:
        groups: The group (n,), int64, of each clip.
        conditions: The number of recording conditions.
        head: The layer that classifies the groups after the Q-network's layers, for `sort_clips`.

    """

    groups: Tensor
    conditions: int
    head: torch.nn.Linear


def discover(
    network: WordCodeNetwork, waveforms: Tensor, count: int, seed: int, voices: Tensor | None = None
) -> Discovery:
    """Sort clips into groups of like words, and train a Q-network's layers to do so.

    Args:
        network: The Q-network, whose layers learn; its head is not used.
        waveforms: Clips (n, channels, samples) at the level at which they were recorded.
        count: Number of groups.
        seed: Seed of everything random.
        voices: The voice (n,), int64, of each clip, in place of conditions that are looked for.

    Raises:
        InputError: There are fewer than `LEAST_IN_GROUP` clips for each group.

    """
    if len(waveforms) < LEAST_IN_GROUP * count:
        raise InputError(
            f"too few clips ({len(waveforms)}) to find {count} groups in; give "
            f"{LEAST_IN_GROUP * count} or more"
        )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        power = torch.cat([network.power(part) for part in torch.split(waveforms, 100)])
        words = network.features.find_words(power)
        chosen = torch.linspace(0, len(power) - 1, min(len(power), MOST_CLIPS)).round().long()
        if voices is None:
            conditions = find_conditions(recording_features(waveforms[chosen], power[chosen]))
        else:
            conditions = voices[chosen].numpy()
        conditions = joined(conditions, count)
        chosen, conditions = chosen[torch.from_numpy(conditions >= 0)], conditions[conditions >= 0]
        views = network.features.view(power[chosen], words[chosen])
        length = (words[chosen, 1] - words[chosen, 0] + 1).log()
        groups = first_groups(views, length, conditions, count)
        parts = torch.split(chosen, 200)
        copies = [
            torch.cat([augmented(network.features, power[part], words[part]) for part in parts])
            for _ in range(_VIEWS)
        ]
        changed = torch.stack(copies)
        for _ in tracked(range(_ROUNDS), "sorting the clips into groups"):
            head = _learn(network, changed, torch.from_numpy(groups), count)
            groups = _even(_read(network, head, [views, *copies]), conditions)
        every = _read(network, head, [network.features.view(power, words)])
        found = torch.from_numpy(every.argmax(1))
        found[chosen] = torch.from_numpy(groups)
        return Discovery(found, len(np.unique(conditions)), head)


def sort_clips(network: WordCodeNetwork, head: torch.nn.Linear, waveforms: Tensor) -> Tensor:
    """The group (n,), int64, of more clips (n, channels, samples), among those that were found."""
    power = network.power(waveforms)
    view = network.features.view(power, network.features.find_words(power))
    return torch.from_numpy(_read(network, head, [view]).argmax(1))


def first_groups(views: Tensor, length: Tensor, conditions: Integers, count: int) -> Integers:
    """Groups (n,) of aligned words, before the Q-network learns them.

    Args:
        views: Spectrograms (n, bands, frames) in [0, 1] in which the word fills every frame.
        length: The logarithm (n,) of each word's length.
        conditions: The recording condition (n,) of each clip.
        count: Number of groups.

    """
    seen = F.avg_pool1d(views, 2).double().numpy()
    warped = grouping.warped_distances(_cepstra(seen, conditions), _BAND)
    alone = grouping.group_within(warped, conditions, count)
    flat = seen.reshape(len(seen), -1)
    both = np.concatenate([flat, _LENGTH_WEIGHT * length.double().numpy()[:, None]], 1)
    values = grouping.principal(grouping.normalised(both, conditions), 80)
    aligned = np.sqrt(grouping.squared_distances(values, values))
    # Whether words of two voices are alike is best told by both kinds of distances.
    near = grouping.neighbour_graph(warped, conditions)
    near += grouping.neighbour_graph(aligned, conditions)
    return grouping.match_groups(near, conditions, alone, count)


def _cepstra(levels: Array, conditions: Integers) -> Array:
    """Cepstra (n, frames, 12), even under each condition, of levels (n, bands, frames)."""
    cepstra: Array = scipy.fft.dct(levels, axis=1, norm="ortho")[:, 1 : _CEPSTRA + 1]
    for condition in np.unique(conditions):
        own = cepstra[conditions == condition]
        mean, deviation = own.mean((0, 2), keepdims=True), own.std((0, 2), keepdims=True)
        cepstra[conditions == condition] = (own - mean) / (deviation + 1e-6)
    return cepstra.transpose(0, 2, 1)


def joined(conditions: Integers, least: int) -> Integers:
    """Conditions (n,), of which those of fewer than ``least`` clips are joined to a single one.

    Its number is one above the others; where it has fewer than ``least`` clips itself, it is -1.
    """
    _, place, sizes = np.unique(conditions, return_inverse=True, return_counts=True)
    small = sizes[place] < least
    found: Integers = conditions.copy()
    found[small] = conditions.max() + 1 if small.sum() >= least else -1
    return found


def recording_features(waveforms: Tensor, power: Tensor) -> Array:
    """Level and background noise (n, 1 + bands / 2), in dB, by which conditions differ.

    Args:
        waveforms: Clips (n, channels, samples).
        power: Their mel power (n, bands, frames), as `WordCodeNetwork.power` gives it.

    """
    peak = waveforms.abs().amax((1, 2)).clamp_min(1e-5)
    level = 20 * peak.log10().double().numpy()
    noise = []
    for each in power.double():
        energy = each.sum(0)
        inside = energy > 1e-10 * energy.max()  # less is the zeros about a clip
        order = energy[inside].argsort()[: max(int(inside.sum()) // 10, 2)]
        quiet = each[:, inside][:, order].clamp_min(1e-12).log10().mul(10).mean(1)
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
    distances, best = np.sqrt(grouping.squared_distances(features, features)), _APART
    for count in range(2, _CONDITIONS + 1):
        groups = grouping.nearest_means(features, count)
        many = np.bincount(groups, minlength=count).min() >= _LEAST_CLIPS / 4
        value = grouping.silhouette(distances, groups)
        if many and value >= best:
            best, found = value, groups
    return found


def _even(logits: Array, conditions: Integers) -> Integers:
    """Groups (n,) of even size under each condition, by logarithms (n, count) of probability."""
    groups = np.zeros(len(logits), dtype=np.int64)
    for condition in np.unique(conditions):
        own = conditions == condition
        shares = np.exp(logits[own] - logits[own].max(1, keepdims=True))
        groups[own] = grouping.even_shares(shares).argmax(1)
    return groups


def _learn(network: WordCodeNetwork, views: Tensor, groups: Tensor, count: int) -> torch.nn.Linear:
    """Train the Q-network's layers, and a head that is returned, on views (copies, n, ...)."""
    head = torch.nn.Linear(network.head.in_features, count)
    parameters = [*network.layers.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, 2e-3, weight_decay=1e-2)
    network.train()
    for _ in range(_STEPS):
        rows = torch.randint(views.shape[1], (min(_BATCH, max(views.shape[1] // 2, 32)),))
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
