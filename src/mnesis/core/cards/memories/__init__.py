"""The memories, a file a family."""

from . import bank, convolution, linear, plastic, recurrent, reservoir, segment

MEMORIES = (
    *recurrent.CARDS,
    *reservoir.CARDS,
    *segment.CARDS,
    *linear.CARDS,
    *plastic.CARDS,
    *convolution.CARDS,
    *bank.CARDS,
)
