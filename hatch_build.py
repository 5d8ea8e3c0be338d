"""The README as a package index shows it: there its relative links would lead nowhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_CODE = re.compile(r"(^```.*?^```$|`[^`\n]*`)", re.MULTILINE | re.DOTALL)
_RELATIVE = r"(?![a-z][a-z+.-]*:|[#/])"
_PICTURE = re.compile(rf"(!\[[^\]]*\]\(|\bsrc(?:set)?=\"){_RELATIVE}")
_LINK = re.compile(rf"((?<=\])\(|\bhref=\"){_RELATIVE}")


class AbsoluteLinks(MetadataHookInterface):
    """Gives the README with absolute links, below the homepage that pyproject.toml names."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Hatchling's hook."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        text = with_absolute_links(text, metadata["urls"]["Homepage"])
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def with_absolute_links(text: str, homepage: str) -> str:
    """Markdown whose relative links and pictures point into a repository; code stays as it is."""
    pieces = _CODE.split(text)
    for number in range(0, len(pieces), 2):
        pictures = _PICTURE.sub(rf"\g<1>{homepage}/raw/main/", pieces[number])
        pieces[number] = _LINK.sub(rf"\g<1>{homepage}/blob/main/", pictures)
    return "".join(pieces)
