"""docs/gitops.md, written from the table."""

from __future__ import annotations

from pathlib import Path

from tests.api.gitops.scenario import STEPS
from tests.api.gitops.table import PERSONAS, Cell
from tests.api.gitops.tools import OK

FILE = Path(__file__).resolve().parents[3] / "docs" / "gitops.md"
_HEAD = """\
# Beside the tools that own your Deployments

Written by `python -m tests.api.gitops` from the table that the tests use (`tests/api/gitops/table.py`). Each line is played on a real
API server: the tool changes a Deployment in a namespace with a GrpcTracing, step after step, and does the same to a twin in a
namespace without. After each step no variable, image or container of the user's may be missing, the tool may find nothing to
do, and there may be no rollout but the user's own and the one that a patch of ours is. At the end both pod templates are equal.

The numbers are patches of ours, each of which is one rollout; 0: the step went through and nothing was written by us.

"""
_TAIL = """
- *adds a container*: it is injected too. *sets a name that we set*: `OTEL_TRACES_SAMPLER`, whose value is the user's from then on; the
  argument of our sampler goes. *removes that name*: ours comes back.
- The programs are real: kubectl 1.37 and Helm 4, which plays Helm 3 with `--server-side=false`, the three-way merge of both. Flux and Argo CD
  are played by the requests that they make: kustomize-controller's dry run, forced server-side apply and take-over of what kubectl
  wrote; Argo CD's three-way or server-side diff, and `kubectl apply` where that shows something. Both compare again after each step.
- Argo CD stays `Synced` and needs no `ignoreDifferences`: neither diff looks at what is not in the manifest.
- `kubectl replace` and all that writes the whole object (`Replace=true` in Argo CD, `helm upgrade --force-replace`) take our part out, so each costs a
  second rollout. Where that happens again and again with the same images, it is taken for a fight ([`Contested`](#contested)).

## 409: server-side apply without force
`kubectl apply --server-side` and Helm 4 refuse to change a value that somebody else wrote: `conflict with "grpctracing"`, for a name of
which the operator has written another value before. Once is enough, and then the value is yours:

    kubectl apply --server-side --force-conflicts -f deployment.yaml        # Helm: helm upgrade --force-conflicts …

## 422: `valueFrom` for a name that has a value
`may not be specified when 'value' is not empty`: the API server merges what you write with the value that is there, and refuses both
beside each other, whatever the tool and with force too. Opt out, apply, opt in again:

    kubectl annotate deployment NAME grpctracing.dev/inject=false --overwrite    # then let the tool apply, and:
    kubectl annotate deployment NAME grpctracing.dev/inject-

From then on the name is yours. Flux takes the annotation away by itself when it applies. `kubectl edit` and `replace` need none of this.

## Neither exists under `rollout.strategy: Admission`
Nothing is written to a Deployment then ([admission.md](admission.md)): creation, a new image, a name that we set, `valueFrom` and a container
that goes have no error with `kubectl apply`, `--server-side`, Helm 4, Flux and both forms of Argo CD. Generation and spec are those
of the twin, and the resourceVersion is that of the tool's own write.

## `PYTHONPATH` in the manifest
It is the one variable of yours that is written over, with `/grpctracing:` in front. A tool that applies the manifest puts it back, and
so do Flux and a self-healing Argo CD each time that they compare: after four times that is `Contested`, and the variable is left as
the tool has it. Each of these ends it with one patch, and the tool finds nothing to do from then on:

| do | the pods then have |
|---|---|
| `rollout.strategy: Admission` | tracing, `/grpctracing:` in front of yours; nothing of ours is in the Deployment |
| set it in the image, and no more in the manifest | tracing, `/grpctracing/:` in front of the image's, as the preflight has found it |
| `grpctracing.dev/bootstrap: "false"` in the manifest | the `OTEL_` variables alone, `PYTHONPATH` as it is |
| `grpctracing.dev/inject: "false"` in the manifest | nothing of ours |

## Contested
The same patch of ours was undone more than three times within four hours while no image changed. Nothing is written from then on,
for a day or until an image or what we would write changes. `kubectl describe gtr` says it of the workload. Have the tool apply its
manifest instead of replacing the object, use strategy `Admission`, or annotate `grpctracing.dev/inject=false`.
"""


def text() -> str:
    """Return the whole document."""
    titles = [step.title for step in STEPS]
    lines = [f"| {' | '.join(['the tool', *titles])} |", f"|---{'|---' * len(STEPS)}|"]
    lines += [
        f"| {' | '.join([persona.title, *(said(persona.cell(step.name)) for step in STEPS)])} |" for persona in PERSONAS
    ]
    return _HEAD + "\n".join(lines) + "\n" + _TAIL


def said(cell: Cell | None) -> str:
    """Return what the document says of a cell."""
    if cell is None:
        return "-"
    return str(cell.patches) if cell.answer == OK else f"{cell.answer}, then {cell.patches}"
