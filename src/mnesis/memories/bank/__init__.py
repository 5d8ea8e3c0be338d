"""Addressed stores: slots that are written and looked up."""
