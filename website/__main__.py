"""Lay out the pages of the site in a folder: ``python -m website build/docs``.

Those that are written by hand (docs/) are copied there, and a page is made of every card of the catalog.
"""

import sys
from pathlib import Path

from .layout import lay_out

lay_out(Path(sys.argv[1]))
