"""Bits, capacity and half-lives of a network on any task."""
