"""Writes the generated reference: `python -m docs.generate`. A test fails when a file is not what this would write."""

from pathlib import Path

import yaml

from shared.events.asyncapi import document

REFERENCE = Path(__file__).parent / "reference"


def pages() -> dict[Path, str]:
    """Every generated file and its text."""
    return {REFERENCE / "asyncapi.yaml": yaml.safe_dump(document(), sort_keys=False, width=120, allow_unicode=True)}


def main() -> None:
    for path, text in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
