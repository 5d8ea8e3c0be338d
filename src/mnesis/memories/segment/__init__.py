"""Memory passed between segments."""
