"""Readers of data files, and how they are fetched."""
