from __future__ import annotations

import math

import pytest
import torch

from mnesis.tasks.signals.scene_needle import SceneNeedle


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(length: int, batch: int = 50, seed: int = 0, **options):
    return SceneNeedle(**options).episodes(batch, length, generator(seed))


def nearest(vectors: torch.Tensor, means: torch.Tensor) -> torch.Tensor:
    return torch.cdist(vectors, means).argmin(-1)


@pytest.mark.parametrize(
    ("length", "options"),
    [
        (1, {}),
        (8, {}),
        (16, {"dim": 64, "frames": 4, "places": 3}),
        (5, {"frames": 6, "shortest": 6, "values": 3, "prototypes": 5}),
        (4, {"places": 0}),
    ],
)
def test_whoever_knows_the_means_reads_all_answers_off_the_inputs(length, options) -> None:
    """Frames are told apart by the nearest mean; a scene ends where the nearest mean is another."""
    task, episode = SceneNeedle(**options), draw(length, **options)
    frames, asked = length * task.frames, 1 + task.places
    assert episode.inputs.shape == (50, frames + asked, task.features)
    read = episode.inputs[..., : task.dim]
    for x, marks, y, weight in zip(read, episode.inputs[..., task.dim :], *episode[1:3], strict=True):
        assert weight.tolist() == [0] * frames + [1] * asked
        assert marks[:, 1].tolist() == weight.tolist(), "questions are marked"
        (at,) = marks[:, 0].nonzero()[:, 0].tolist()  # one needle
        assert at < frames
        value = int(nearest(x[at : at + 1], task.needle_means))
        shown = nearest(x[:frames], task.scene_means).tolist()
        seen = shown[:at] + shown[at + 1 :]
        order = list(dict.fromkeys(seen))
        assert len(order) == length
        questions = nearest(x[frames:], task.questions).tolist()
        assert questions[0] == 0
        assert y[frames:].tolist() == [value] + [task.values + order[place - 1] for place in questions[1:]]


@pytest.mark.parametrize("shortest", [2, 5, 8])
def test_what_is_told_of_scenes_is_so(shortest) -> None:
    """Without noise each frame is its scene's mean, and the needle its value's."""
    task = SceneNeedle(noise=0.0, shortest=shortest)
    scenes = task.scenes(200, 10, generator())
    assert torch.equal(task.episodes(200, 10, generator()).inputs[:, :80], scenes.frames), "the same as is asked about"
    rows = torch.arange(200)
    assert scenes.begins[:, 0].all()
    assert (scenes.begins.sum(1) == 10).all()
    which = scenes.begins.cumsum(1) - 1
    longest = torch.nn.functional.one_hot(which).sum(1)
    assert int(longest.min()) >= shortest
    assert (longest.sum(1) == 80).all()
    assert (int(longest.max()) == 8) is (shortest == 8), "all of one length only where that was asked for"
    expected = task.scene_means[scenes.order.gather(1, which)]
    expected[rows, scenes.place] = task.needle_means[scenes.value]
    assert torch.equal(scenes.frames[..., :-2], expected)
    mark = torch.zeros(200, 80)
    mark[rows, scenes.place] = 1
    assert torch.equal(scenes.frames[..., -2], mark)
    assert not scenes.frames[..., -1].any()
    assert all(len(set(order)) == 10 for order in scenes.order.tolist()), "no prototype twice"


def test_scenes_without_a_needle_are_the_same_but_for_its_frame() -> None:
    task = SceneNeedle()
    (frames, *told), (plain, *same) = (task.scenes(100, 8, generator(), needle=needle) for needle in (True, False))
    assert all(torch.equal(a, b) for a, b in zip(told, same, strict=True))
    differ = (frames != plain).any(2)
    assert torch.equal(differ.nonzero()[:, 1], told[2])
    assert not plain[..., -2:].any()
    shown = nearest(plain[..., :-2], task.scene_means)
    assert torch.equal(shown, told[1].gather(1, told[0].cumsum(1) - 1))


def test_scenes_can_be_cut_where_neighbours_differ_most() -> None:
    """With a threshold between the similarity of frames of one scene and of two; a needle makes false cuts."""
    task, cut = SceneNeedle(dim=64), {}
    for needle in (True, False):
        scenes = task.scenes(100, 16, generator(), needle=needle)
        x = torch.nn.functional.normalize(scenes.frames[..., :-2], dim=2)
        found = (x[:, 1:] * x[:, :-1]).sum(2) < 0.55
        true = scenes.begins[:, 1:]
        cut[needle] = float(2 * (found & true).sum() / (found.sum() + true.sum()))
    assert cut[False] > 0.97
    assert 0.9 < cut[True] < cut[False]


def test_frames_scatter_around_their_means() -> None:
    still, moved = (SceneNeedle(noise=noise).scenes(200, 8, generator()).frames for noise in (0.0, 0.3))
    scatter = (moved - still)[..., :-2]
    assert float(scatter.std()) == pytest.approx(0.3, abs=0.003)
    assert float(scatter.mean()) == pytest.approx(0, abs=0.003)
    assert torch.equal(moved[..., -2:], still[..., -2:])


def test_places_and_answers_are_uniform() -> None:
    task = SceneNeedle(prototypes=6, values=3, dim=16, frames=2)
    scenes = task.scenes(60_000, 4, generator())
    for drawn, count in ((scenes.place, 8), (scenes.value, 3), *((scenes.order[:, n], 6) for n in range(4))):
        assert torch.allclose(drawn.bincount() / 60_000, torch.full((count,), 1 / count), atol=0.01)
    asked = task.episodes(60_000, 4, generator()).inputs[:, -1, :-2]
    share = nearest(asked, task.questions).bincount() / 60_000
    assert torch.allclose(share, torch.tensor([0, 0.25, 0.25, 0.25, 0.25]), atol=0.01)


def test_scenes_are_of_very_unequal_lengths() -> None:
    """As 40 scenes in 2000 frames are."""
    begins = SceneNeedle(frames=50, dim=4).scenes(100, 40, generator()).begins
    lengths = torch.nn.functional.one_hot(begins.cumsum(1) - 1).sum(1).float()
    assert 0.8 < float(lengths.std()) / 50 < 1.1, "nearly as unequal as waiting times"


@pytest.mark.parametrize("places", [0, 1, 3, 9])
def test_what_blind_guesses_score(places) -> None:
    """The best constant answer is right by chance; who knows the questions as often as ``blind`` says."""
    task = SceneNeedle(prototypes=5, values=2, dim=8, frames=2, places=places)
    episode = task.episodes(40_000, 3, generator())
    answers = episode.targets[:, 6:]
    shares = answers.flatten().bincount(minlength=7) / answers.numel()
    assert float(shares.max()) == pytest.approx(task.chance, abs=0.01)
    guess = torch.full_like(answers, task.values + 2)
    guess[:, 0] = 1
    told = task.blind(episode)[:, 6:]
    assert float((guess == answers).float().mean()) == pytest.approx(float(told.exp2().mean()), abs=0.01)
    assert torch.equal(told[0], torch.tensor([-1.0] + [-math.log2(5)] * places))


def test_means_are_apart_and_the_same_for_all() -> None:
    task, again = SceneNeedle(), SceneNeedle(noise=0.1)
    every = torch.cat([task.scene_means, task.needle_means, task.questions])
    assert every.shape == (64 + 8 + 65, 32)
    assert torch.allclose(every.square().sum(1), torch.full((len(every),), 32.0))
    assert float(torch.pdist(every).min()) > 4
    assert torch.equal(task.scene_means, again.scene_means)


def test_it_is_reproducible() -> None:
    for a, b in zip(draw(8, seed=3)[:3], draw(8, seed=3)[:3], strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(draw(8, seed=3).inputs, draw(8, seed=4).inputs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 4, "shortest": 5}, "shortest = 5 is above the mean, frames = 4; give no more than that"),
        ({"shortest": 1}, "shortest=1 is not a whole number of at least 2"),
        ({"prototypes": 1}, "prototypes=1 is not a whole number of at least 2"),
        ({"values": 1}, "values=1 is not a whole number of at least 2"),
        ({"noise": -0.1}, "noise=-0.1 is not a finite number of at least 0"),
        ({"places": -1}, "places=-1 is not a whole number of at least 0"),
    ],
)
def test_bad_options(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        SceneNeedle(**options)


@pytest.mark.parametrize(("batch", "length"), [(0, 5), (3, 0), (3, 65)])
def test_bad_lengths(batch, length) -> None:
    with pytest.raises(ValueError, match=f"batch = {batch}, length = {length}: .* 1 to prototypes = 64 scenes; raise"):
        draw(length, batch)
