"""Text: what comes next, and what text becomes tokens by."""
