"""Memories side by side: the same tasks, the same budget, the same network around them."""
