"""Recurrences that are never trained."""
