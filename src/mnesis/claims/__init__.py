"""One file a paper: its statement as an experiment."""
