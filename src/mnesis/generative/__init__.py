"""Generative models with a memory: variational memory addressing, and the models it is compared with."""
