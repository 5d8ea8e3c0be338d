"""Fitting: recipes, the loop with truncated back-propagation, curricula, checkpoints that continue exactly."""

from .fit import Training, fit
from .least_squares import fit_readout
from .recipe import Recipe, Stage
from .validation import Validation

__all__ = ["Recipe", "Stage", "Training", "Validation", "fit", "fit_readout"]
