"""`python -m grpctracing.api`: write everything that is made from the models; `--check`: tell whether it is up to date."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from grpctracing.api import crd, reference

ROOT = Path(__file__).resolve().parents[3]
CRD_NAME = "grpctracing.dev_grpctracings.yaml"


def outputs() -> dict[str, str]:
    """Return path in the repository → text."""
    definition = crd.text()
    return {
        f"crds/{CRD_NAME}": definition,
        f"charts/grpctracing-operator/files/{CRD_NAME}": definition,
        "docs/reference/api.md": reference.text(crd.definition()),
    }


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Write the files below *root*, or with `--check` list those that differ. Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m grpctracing.api", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is not up to date")
    check = parser.parse_args(arguments).check
    stale = [path for path, text in outputs().items() if not _same(root / path, text)]
    for path in stale:
        if check:
            print(f"{path} is not what the models say; run `make crds`", file=sys.stderr)  # noqa: T201 - a command's answer
        else:
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(outputs()[path], encoding="utf-8")
            print(f"wrote {path}")  # noqa: T201 - a command's answer
    return int(check and bool(stale))


def _same(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
