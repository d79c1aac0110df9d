"""The EDITOR of `kubectl edit`: does to the file what a person would, who has seen the manifest change from one state to another."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml


def merge(
    live: list[dict[str, Any]], before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return *live*, entries with names, with what changes between *before* and *after*; others stay as they are."""
    old, new = ({item["name"]: item for item in items} for items in (before, after))
    merged = []
    for item in live:
        name = item["name"]
        if name in old and name not in new:
            continue
        if name in new and "image" in item:
            entries = merge(item.get("env", []), old.get(name, {}).get("env", []), new[name]["env"])
            merged.append({**item, "image": new[name]["image"], "env": entries})
        else:
            merged.append(new[name] if new.get(name) != old.get(name) else item)
    there = {item["name"] for item in live}
    return merged + [item for name, item in new.items() if name not in there]


def main() -> None:
    before, after = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    file = Path(sys.argv[2])
    live = yaml.safe_load(file.read_text("utf-8"))
    live["metadata"]["annotations"] = live["metadata"].get("annotations", {}) | after["metadata"]["annotations"]
    pods = [manifest["spec"]["template"]["spec"] for manifest in (live, before, after)]
    pods[0]["containers"] = merge(*(pod["containers"] for pod in pods))
    file.write_text(yaml.safe_dump(live), "utf-8")


if __name__ == "__main__":
    main()
