"""95 % intervals of a share and of a mean, where questions of one stream are not independent."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

Z = 1.959963984540054  # the 97.5 % point of the normal distribution
RESAMPLES = 2000
Interval = tuple[float, float]


def wilson(successes: float | int, count: int) -> Interval:
    """Wilson's score interval of a share of ``count`` independent trials.

    Raises:
        ValueError: no trial.
    """
    if count < 1:
        raise ValueError("a share of no trials has no interval; ask at least one question")
    share = successes / count
    middle = share + Z**2 / (2 * count)
    half = Z * math.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    low, high = (middle - half) / (1 + Z**2 / count), (middle + half) / (1 + Z**2 / count)
    return low if successes > 0 else 0.0, high if successes < count else 1.0


def cluster_bootstrap(values: Sequence[float | int], clusters: Sequence[int]) -> Interval | None:
    """Percentile interval of the mean of ``values`` when whole clusters (streams) are drawn again with replacement.

    Deterministic: 2000 resamples from a fixed seed. None where there are fewer than two clusters to draw from.
    """
    _, index = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.bincount(index, weights=np.asarray(values, float))
    counts = np.bincount(index)
    if len(sums) < 2:
        return None
    means = _resampled(sums, counts, np.random.default_rng(0))
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _resampled(sums: np.ndarray, counts: np.ndarray, numbers: np.random.Generator) -> Float[np.ndarray, " R"]:
    even = np.full(len(sums), 1 / len(sums))
    means = []
    for _ in range(0, RESAMPLES, 100):  # in parts: 2000 x 10,000 streams at once would be 160 MB
        times = numbers.multinomial(len(sums), even, size=100)
        means.append(times @ sums / (times @ counts))
    return np.concatenate(means)


def share_interval(correct: Sequence[bool], clusters: Sequence[int]) -> Interval:
    """The interval of an accuracy: Wilson where every stream asks once, else a bootstrap over streams.

    Where all answers agree a bootstrap would claim certainty; then the streams count as the trials of Wilson's
    interval, which is right if the questions of a stream tell nothing beyond the first.
    """
    count, streams, right = len(correct), len(set(clusters)), sum(correct)
    if streams == count:
        return wilson(right, count)
    if right in (0, count) or streams < 2:
        return wilson(right / count * streams, streams)
    interval = cluster_bootstrap([float(answer) for answer in correct], clusters)
    assert interval is not None, "there are two streams or more"
    return interval
