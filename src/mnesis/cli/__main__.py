"""``python -m mnesis.cli``."""

from . import main

main()
