"""`python docs/tables.py` (make docs): the tables of results.md, from the declarations."""

from __future__ import annotations

from pathlib import Path

from diffregimes.posterior.observables import OBSERVABLES

PAGE = Path(__file__).parent / "results.md"
HEAD = "| name | formula | unit |\n|---|---|---|\n"


def rows() -> list[str]:
    """A row for each observable: name, formula, unit."""
    out = []
    for x in OBSERVABLES:
        formula, unit = x.formula.replace("|", r"\|"), "0 to 1" if x.bounded else x.unit
        out.append(f"| `{x.name}` | {formula} | {unit} |".replace("|  |", "| |"))
    return out


def written(text: str) -> str:
    """The page with the table as declared."""
    before, rest = text.split(HEAD)
    return before + HEAD + "\n".join(rows()) + "\n\n" + rest.split("\n\n", 1)[1]


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
