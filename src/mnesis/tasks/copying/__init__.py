"""Saying again what was read."""
