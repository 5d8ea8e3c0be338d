"""Pure tensor functions: each fast form beside its naive twin."""
