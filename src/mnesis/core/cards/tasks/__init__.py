"""The tasks, a file a room."""

from . import algorithms, cognition, copying, images, language, recall, signals, stories

TASKS = (
    *copying.CARDS,
    *recall.CARDS,
    *language.CARDS,
    *signals.CARDS,
    *algorithms.CARDS,
    *cognition.CARDS,
    *images.CARDS,
    *stories.CARDS,
)
