"""BABILong: bAbI's facts scattered in long text."""
