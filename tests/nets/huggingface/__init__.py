"""Models of transformers as hosts, and networks as models of transformers."""
