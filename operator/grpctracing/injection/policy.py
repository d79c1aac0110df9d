"""The second rendering: what `plan` and `patch` do to a Deployment, as a policy that the API server applies to new pods.

Names, values and conditions come from `environment`, `offers`, `containers` and `names`; here they are only written down
as CEL. A JSON patch and not an ApplyConfiguration: it appends (the user's order stays, `$(NAME)` finds what stands before
it), touches nothing else, and does not stumble over lists that have an item twice.

`failurePolicy: Ignore` forgives expressions that fail. It does not forgive a patched pod that is no valid Pod, so every
way in which ours could clash with what is there is asked for first (`policy_pod.fitting`), and then nothing is changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grpctracing.injection import cel, names
from grpctracing.injection.environment import environment
from grpctracing.injection.kinds import KINDS
from grpctracing.injection.offers import PINS, SERVICE_ATTRIBUTE, Offer, offers
from grpctracing.injection.plan import source
from grpctracing.injection.policy_match import conditions
from grpctracing.injection.policy_pod import variables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from grpctracing.api import GrpcTracing
    from grpctracing.injection.failed import Failed
    from grpctracing.injection.known import Known

API_VERSION = "admissionregistration.k8s.io/v1"
# Stand in `environment` for what only the pod knows. No text of a user's looks like this, and percent-encoding keeps it.
WORKLOAD, CONTAINER, SERVICE, PATH = (f"~grpctracing/{word}~" for word in ("workload", "container", "service", "path"))
DEPLOYED = (KINDS["Deployment"].attribute, WORKLOAD)
SYMBOLS = {
    f"{DEPLOYED[0]}={WORKLOAD},": "variables.origin",
    CONTAINER: "object.spec.containers[i].name",
    SERVICE: "variables.service",
    PATH: "variables.paths[i]",
}


def policy_name(namespace: str, tracing: str) -> str:
    """Return the name of policy and binding, which live outside of namespaces; no namespace contains a dot."""
    return f"{tracing}.{namespace}.grpctracing.dev"


def policies(
    tracing: GrpcTracing,
    tracings: Sequence[GrpcTracing],
    failed: Sequence[Failed] = (),
    images: Mapping[str, Known] | None = None,
) -> list[dict[str, Any]]:
    """Return the policy and its binding; *tracings* are all living objects of the namespace, *tracing* among them.

    Pods with images that have *failed* are left alone, and so are containers with images of which nothing is known;
    without *images* (nobody looks into them) the bootstrap goes into all, and what an image sets is not known.
    """
    metadata = {
        "name": policy_name(tracing.metadata.namespace, tracing.metadata.name),
        "labels": {
            names.MANAGED_BY_LABEL: names.FIELD_MANAGER,
            names.TRACING_LABEL: tracing.metadata.name,
            names.NAMESPACE_LABEL: tracing.metadata.namespace,
        },
    }
    spec = {
        "matchConstraints": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": tracing.metadata.namespace}},
            "resourceRules": [
                {
                    "apiGroups": [""],
                    "apiVersions": ["v1"],
                    "operations": ["CREATE"],
                    "resources": ["pods"],
                    "scope": "Namespaced",
                }
            ],
        },
        "matchConditions": conditions(tracing, tracings, failed),
        "variables": [
            {"name": name, "expression": text} for name, text in variables(tracing, relevant(tracing), images)
        ],
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": mutation(tracing)}}],
        "failurePolicy": "Ignore",
        # What webhooks add afterwards (the sidecar of a mesh) is theirs, as it is when a Deployment is patched.
        "reinvocationPolicy": "Never",
    }
    binding = {"policyName": metadata["name"]}
    return [
        {"apiVersion": API_VERSION, "kind": "MutatingAdmissionPolicy", "metadata": metadata, "spec": spec},
        {"apiVersion": API_VERSION, "kind": "MutatingAdmissionPolicyBinding", "metadata": metadata, "spec": binding},
    ]


def mutation(tracing: GrpcTracing) -> str:
    """Return the expression of the JSON patch; an empty one where the pod does not fit."""
    volume = {"name": names.VOLUME, "configMap": source(tracing)}
    adds_volume = append("object.spec", '"/spec', "volumes", cel.value(volume, "Object.spec.volumes"))
    each = " + ".join(container_patch(tracing))
    return (
        f"!variables.fitting ? [] : (variables.mounting.size() > 0 ? {adds_volume} : []) + "
        f"variables.chosen.map(i, {each}).flatten()"
    )


def container_patch(tracing: GrpcTracing) -> Iterator[str]:
    """Yield lists of patch operations for container `i`: PYTHONPATH in its place, ours behind, the mount."""
    container = "object.spec.containers[i]"
    at = '"/spec/containers/" + string(i) + "'
    kind = "Object.spec.containers.env"
    theirs = f"variables.containers[i][j].name == {cel.string(names.PYTHONPATH)}"
    yield (
        f"(!(i in variables.mounting) ? [] : lists.range(variables.containers[i].size()).filter(j, {theirs})"
        f'.map(j, JSONPatch{{op: "add", path: {at}/env/" + string(j) + "/value", value: {prefixed()}}}))'
    )
    yield f'(has({container}.env) ? [] : [JSONPatch{{op: "add", path: {at}/env", value: []}}])'
    entries = [
        f"({condition(offer)} ? [{cel.value(offer.entry, kind, SYMBOLS)}] : [])" for offer in candidates(tracing)
    ]
    yield f'({" + ".join(entries)}).map(e, JSONPatch{{op: "add", path: {at}/env/-", value: e}})'
    mount = {"name": names.VOLUME, "mountPath": names.MOUNT_PATH, "readOnly": True}
    mounted = append(container, at, "volumeMounts", cel.value(mount, "Object.spec.containers.volumeMounts"))
    yield f"(i in variables.mounting ? {mounted} : [])"


def candidates(tracing: GrpcTracing) -> Iterator[Offer]:
    """Yield every entry that a container may get, in writing order."""
    namespace = tracing.metadata.namespace
    full = environment(tracing, namespace=namespace, workload=DEPLOYED, container=CONTAINER, service=SERVICE)
    yield from offers(full)
    yield from PINS
    yield Offer({"name": names.PYTHONPATH, "value": PATH}, frozenset({names.PYTHONPATH}))


def relevant(tracing: GrpcTracing) -> frozenset[str]:
    """Return the names on which it depends what a container gets."""
    return frozenset().union(*(offer.unless | offer.given for offer in candidates(tracing)))


def condition(offer: Offer) -> str:
    """Return when container `i` gets an entry."""
    terms = [f"!({cel.string(name)} in variables.taken[i])" for name in sorted(offer.unless)]
    if offer.given:
        terms.append(
            "(" + " || ".join(f"{cel.string(name)} in variables.taken[i]" for name in sorted(offer.given)) + ")"
        )
    if offer.nameless:
        naming = f'e.?value.orValue("").contains({cel.string(SERVICE_ATTRIBUTE)})'
        terms.append(f"!variables.containers[i].exists(e, e.name == {cel.string(names.RESOURCE)} && {naming})")
    if offer.entry["name"] in {names.PINNED, names.PYTHONPATH}:
        terms.append("i in variables.mounting")
    return cel.every(terms)


def prefixed() -> str:
    """Return PYTHONPATH `j` of container `i` with ours in front, as `ledger.prefix` writes it."""
    path = cel.string(names.MOUNT_PATH + ":")
    empty = cel.string(names.MOUNT_PATH + "/")
    own = 'variables.containers[i][j].?value.orValue("")'
    return f'({own} == "" ? {empty} : {path} + {own})'


def append(holder: str, at: str, name: str, item: str) -> str:
    """Return the operations that put *item* at the end of a list that may not be there yet."""
    create = f'(has({holder}.{name}) ? [] : [JSONPatch{{op: "add", path: {at}/{name}", value: []}}])'
    return f'({create} + [JSONPatch{{op: "add", path: {at}/{name}/-", value: {item}}}])'
