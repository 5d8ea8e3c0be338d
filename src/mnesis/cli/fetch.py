"""Download a collection of pictures, checked against the checksums of what was published.

    mnesis fetch omniglot data/

What stands there already is checked, and left alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from .arguments import Named


def run(
    name: Annotated[str, Named("COLLECTION")],
    folder: Annotated[Path, Named("FOLDER")],
    /,
    quiet: bool = False,
) -> None:
    """Fetch the files and print where they are.

    Args:
        name: a collection: mnist, fashion-mnist, binarized-mnist, omniglot or omniglot-30-20 (the same files).
        folder: gets a folder of that name.
        quiet: show no progress.
    """
    from ..tasks.images.collections import fetch_collection

    print(fetch_collection(name, folder, progress=not quiet))
