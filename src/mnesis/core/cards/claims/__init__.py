"""The claims, a file a kind of memory."""

from . import generative, linear, recurrent, segment

CLAIMS = (
    *segment.CARDS,
    *linear.CARDS,
    *recurrent.CARDS,
    *generative.CARDS,
)
