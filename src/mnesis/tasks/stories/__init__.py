"""Stories with questions."""
