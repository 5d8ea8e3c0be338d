import numpy as np
import pytest

from mnesis.measure.intervals import cluster_bootstrap, share_interval, wilson


@pytest.mark.parametrize(
    ("successes", "count", "low", "high"),
    [(8, 10, 0.4901625, 0.9433178), (0, 10, 0.0, 0.2775328), (10, 10, 0.7224672, 1.0), (50, 100, 0.4038315, 0.5961685)],
)
def test_wilson_against_known_values(successes, count, low, high):
    assert wilson(successes, count) == pytest.approx((low, high), abs=1e-6)


def test_wilson_of_nothing():
    with pytest.raises(ValueError, match="at least one question"):
        wilson(0, 0)


def test_bootstrap_of_single_values_is_the_normal_interval():
    values = np.random.default_rng(1).normal(3, 2, 400).tolist()
    low, high = cluster_bootstrap(values, range(400))
    half = 1.96 * np.std(values) / 20
    assert low == pytest.approx(np.mean(values) - half, abs=0.03)
    assert high == pytest.approx(np.mean(values) + half, abs=0.03)


def test_questions_that_only_repeat_their_stream_add_nothing():
    values = np.random.default_rng(2).normal(0, 1, 100)
    once = cluster_bootstrap(values.tolist(), range(100))
    five = cluster_bootstrap(np.repeat(values, 5).tolist(), np.repeat(range(100), 5).tolist())
    assert once == pytest.approx(five)


def test_bootstrap_is_deterministic_and_needs_two_clusters():
    assert cluster_bootstrap([0, 1, 1], [0, 1, 2]) == cluster_bootstrap([0, 1, 1], [0, 1, 2])
    assert cluster_bootstrap([0, 1, 1], [7, 7, 7]) is None


def test_one_question_a_stream_is_wilson():
    assert share_interval([True] * 8 + [False] * 2, range(10)) == wilson(8, 10)


def test_several_questions_a_stream_are_clusters():
    correct, clusters = [True, True, False, False] * 10, [stream for stream in range(20) for _ in range(2)]
    assert share_interval(correct, clusters) == cluster_bootstrap(correct, clusters)


def test_agreement_is_not_certainty():
    assert share_interval([True] * 30, [stream for stream in range(10) for _ in range(3)]) == wilson(10, 10)
    assert share_interval([True, False, False], [4, 4, 4]) == wilson(1 / 3, 1)
