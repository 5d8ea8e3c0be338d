"""The documentation site: what is put beside the pages in docs/ before they are built (``make docs``)."""
