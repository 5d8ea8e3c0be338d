"""Trials that people are given."""
