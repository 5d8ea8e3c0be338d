"""Streaming evaluation: questions asked along endless streams, in constant memory, resumable."""
