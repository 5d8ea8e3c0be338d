"""The mechanisms, one file each, by how they remember."""
