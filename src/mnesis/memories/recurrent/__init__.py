"""Gated and nonlinear cells."""
