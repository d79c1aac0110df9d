"""What an API server does with our patch: strategic merge with element order, and the books about who owns what.

Only as much as our patches use; tests/api runs the same cases against the real one.
"""

from __future__ import annotations

import copy
import json
from typing import Any

MERGE_KEYS = {"containers": "name", "env": "name", "volumes": "name", "volumeMounts": "mountPath"}
ORDER = "$setElementOrder/"


def apply_patch(deployment: dict[str, Any], patch: dict[str, Any], manager: str = "grpctracing") -> dict[str, Any]:
    """Return *deployment* after *patch* by *manager*: preconditions checked, managedFields kept, version counted up."""
    body = copy.deepcopy(patch)
    metadata = body.pop("metadata")
    assert metadata["uid"] == deployment["metadata"]["uid"]
    assert metadata["resourceVersion"] == deployment["metadata"]["resourceVersion"]
    after = merge(deployment, body)
    before_values, after_values = values(deployment), values(after)
    changed = {key for key in after_values if after_values[key] != before_values.get(key)}
    gone = before_values.keys() - after_values.keys()
    books = owners(deployment)
    for keys in books.values():
        keys.difference_update(changed | gone)
    books.setdefault(manager, set()).update(changed)
    after["metadata"]["managedFields"] = [entry(name, keys) for name, keys in sorted(books.items()) if keys]
    after["metadata"]["resourceVersion"] = str(int(deployment["metadata"]["resourceVersion"]) + 1)
    return after


def merge(live: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    result = copy.deepcopy(live)
    for key, value in patch.items():
        if key.startswith(ORDER):
            continue
        if key in MERGE_KEYS and isinstance(value, list):
            items = merge_list(result.get(key) or [], value, patch.get(ORDER + key), MERGE_KEYS[key])
            if items:
                result[key] = items
            else:
                result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = merge(result.get(key) or {}, value)
        elif value is None:
            result.pop(key, None)
        else:
            result[key] = value
    return result


def merge_list(live: list[Any], patch: list[Any], order: list[Any] | None, key: str) -> list[Any]:
    items = {item[key]: item for item in live}
    for change in patch:
        name = change[key]
        if change.get("$patch") == "delete":
            items.pop(name, None)
        else:
            items[name] = merge(items.get(name, {}), change)
    assert order is not None, "a list without its order would be moved about"
    wanted = [item[key] for item in order]
    assert set(items) <= set(wanted), "every surviving item has its place"
    present = [change[key] for change in patch if change.get("$patch") != "delete"]
    assert present == sorted(present, key=wanted.index), "the API server refuses a patch out of order"
    return [items[name] for name in wanted if name in items]


def values(deployment: dict[str, Any]) -> dict[tuple[str, str], str]:
    """(container, variable) → its value, for the books."""
    return {
        (container["name"], item["name"]): json.dumps({key: item[key] for key in item if key != "name"}, sort_keys=True)
        for container in deployment["spec"]["template"]["spec"]["containers"]
        for item in container.get("env") or ()
    }


def owners(deployment: dict[str, Any]) -> dict[str, set[tuple[str, str]]]:
    records = deployment["metadata"].get("managedFields")
    if records is None:
        return {"kubectl-create": set(values(deployment))}
    books: dict[str, set[tuple[str, str]]] = {}
    for record in records:
        containers = record["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"]
        books[record["manager"]] = {
            (json.loads(container[2:])["name"], json.loads(name[2:])["name"])
            for container, fields in containers.items()
            for name in fields["f:env"]
        }
    return books


def entry(manager: str, keys: set[tuple[str, str]]) -> dict[str, Any]:
    containers: dict[str, Any] = {}
    for container, name in sorted(keys):
        fields = containers.setdefault(f'k:{{"name":"{container}"}}', {".": {}, "f:env": {}})
        fields["f:env"][f'k:{{"name":"{name}"}}'] = {".": {}, "f:name": {}, "f:value": {}}
    return {
        "manager": manager,
        "operation": "Update",
        "apiVersion": "apps/v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:containers": containers}}}},
    }


def inject(deployment: dict[str, Any], patch: dict[str, Any] | None) -> dict[str, Any]:
    """*deployment* after *patch*; unchanged without one."""
    return deployment if patch is None else apply_patch(deployment, patch)
