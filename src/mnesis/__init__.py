"""mnesis: the memory layer for neural networks."""

__version__ = "0.1.0"
