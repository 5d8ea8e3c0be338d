"""Speed and memory, beside torch's own."""
