"""Tasks around another task: the same sequences, read otherwise."""
