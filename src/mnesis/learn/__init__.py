"""Fitting: recipes, the loop with truncated back-propagation, curricula, checkpoints that continue exactly."""

from .fit import Training, fit
from .recipe import Recipe, Stage

__all__ = ["Recipe", "Stage", "Training", "fit"]
