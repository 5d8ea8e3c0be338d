"""Weights that learn while reading."""
