"""What every file of the package is, in docs/architecture.md: ``python -m website.architecture``."""

from __future__ import annotations

import ast
from pathlib import Path

from mnesis.core.files import atomic_path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "architecture.md"
PACKAGE = PAGE.parents[1] / "src" / "mnesis"
BEGIN, END = "<!-- files: make architecture writes them -->", "<!-- end of files -->"


def with_files(architecture: str) -> str:
    """The page, with a line for every folder and file of the package: their own first lines.

    Raises:
        ValueError: the page has no place for them.
    """
    before, begin, rest = architecture.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{PAGE.name} has no list of files; write {BEGIN} and {END} around its place")
    lines = []
    folders = {file.parent for file in PACKAGE.rglob("*.py")}
    for folder in sorted(folders, key=lambda path: path.relative_to(PACKAGE).parts):
        inside = folder.relative_to(PACKAGE).as_posix()
        lines += ["", f"**{'mnesis' if folder == PACKAGE else inside}/**: {_first_line(folder / '__init__.py')}"]
        files = [file for file in sorted(folder.glob("*.py")) if file.name != "__init__.py"]
        lines += ["", *(f"- `{file.name}`: {_first_line(file)}" for file in files)] if files else []
    return before + begin + "\n" + "\n".join(lines) + "\n\n" + end + after


def _first_line(file: Path) -> str:
    """Of a file's docstring."""
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n\n")[0].replace("\n", " ")


def main() -> None:
    """Write the list anew."""
    text = with_files(PAGE.read_text(encoding="utf-8"))
    with atomic_path(PAGE) as path:
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
