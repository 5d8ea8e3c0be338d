"""Small shared modules."""
