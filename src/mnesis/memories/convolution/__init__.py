"""Windows of past signals, convolved."""
