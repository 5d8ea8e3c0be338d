"""Trials that people and animals are given."""
