"""What a policy finds out about a pod before it changes anything: whose it is, its service, its containers, and whether it fits.

The twins of `containers` and of the refusals in `plan`, as CEL. Each variable is evaluated at most once per pod.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grpctracing.injection import cel, names
from grpctracing.injection.kinds import CONTROLLER_REVISION, KINDS
from grpctracing.injection.known import ANY_TAG, BOOTSTRAP, NOTHING, literal
from grpctracing.injection.ledger import OF_IMAGE
from grpctracing.injection.policy_match import annotation, label

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from grpctracing.api import GrpcTracing
    from grpctracing.injection.known import Known

CRON_SUFFIX = "-(2[89]|3[0-9])[0-9]{6}$"
"""What a CronJob appends to the names of its Jobs: minutes since 1970, from 2023 to 2046. A date is no such number."""
SUFFIX_LENGTH = 9


def variables(
    tracing: GrpcTracing, relevant: Iterable[str], images: Mapping[str, Known] | None
) -> Iterator[tuple[str, str]]:
    """Yield name and expression of what the mutation is made of, each from those before it. *images* as in `policies`.

    Of a container's variables, `taken` keeps the names that are *relevant* to what is added: what an expression may cost is
    limited (about a million steps), and a container may have a thousand variables.
    """
    yield "owners", "object.metadata.?ownerReferences.orValue([]).filter(o, o.?controller.orValue(false))"
    yield "kind", 'variables.owners.size() == 0 ? "" : variables.owners[0].kind'
    # A pod of its own is called by its name; what is only to be made up from a prefix, by the prefix without its dash.
    prefix = 'object.metadata.?generateName.orValue("").replace("-", " ").trim().replace(" ", "-")'
    own = f'object.metadata.?name.orValue("") != "" ? object.metadata.name : {prefix}'
    yield "name", f"variables.owners.size() > 0 ? variables.owners[0].name : {own}"
    yield "hash", f'"-" + {label("pod-template-hash")}.orValue("")'
    hashed = 'variables.hash != "-" && variables.name.endsWith(variables.hash)'
    yield "deployed", f'variables.kind == "ReplicaSet" && {hashed}'
    yield "scheduled", f'variables.kind == "Job" && variables.name.matches("{CRON_SUFFIX}")'
    suffix = f"variables.deployed ? variables.hash.size() : variables.scheduled ? {SUFFIX_LENGTH} : 0"
    yield "workload", f"variables.name.substring(0, variables.name.size() - ({suffix}))"
    yield "origin", origin()
    yield "service", service()
    yield "containers", "object.spec.containers.map(c, c.?env.orValue([]))"
    # A map, for looking into a list costs its length.
    wanted = ", ".join(f"{cel.string(name)}: true" for name in sorted(relevant))
    yield "relevant", f"{{{wanted}}}"
    yield "all", "lists.range(object.spec.containers.size())"
    asked = annotation(names.BOOTSTRAP)
    default = str(tracing.spec.bootstrap.enabled).lower()
    yield "bootstrap", f'{asked}.optMap(v, v.trim().lowerAscii() == "true").orValue({default})'
    yield from looked_into(images)
    own = "variables.containers[i].filter(e, e.name in variables.relevant).map(e, e.name)"
    yield "taken", f"variables.all.map(i, {own}{'' if images is None else ' + variables.image_sets[i]'})"
    yield "asked", f"{annotation(names.CONTAINERS)}.optMap(v, v.split(',').map(n, n.trim()).filter(n, n != ''))"
    name = "object.spec.containers[i].name"
    named = f"variables.all.filter(i, {name} in variables.asked.value())"
    unread = "object.spec.containers[i].?envFrom.orValue([]).size() > 0"
    others = f"variables.all.filter(i, !({name} in {cel.strings(names.SIDECARS)}) && !({unread}))"
    fit = "" if images is None else ".filter(i, variables.fit[i])"
    yield "chosen", f"(variables.asked.hasValue() ? {named} : {others}){fit}"
    whole = "" if images is None else f' && (variables.insisted || variables.gets[i] == "{BOOTSTRAP}")'
    yield "mounting", f"variables.chosen.filter(i, variables.bootstrap{whole})"
    yield "paths", paths(images)
    yield "fitting", cel.every(fitting())


def looked_into(images: Mapping[str, Known] | None) -> Iterator[tuple[str, str]]:
    """Yield what is known of each container's image, and whether that is enough: the twins of `fitness` and `unprobed`.

    The user's word counts for more than a look (`plan.insists`); who gets variables alone by it needs none.
    """
    if images is None:
        return
    yield "known", literal(images)
    yield "images", 'object.spec.containers.map(c, c.?image.orValue(""))'
    yield "tagged", 'variables.images.map(n, n.split("@")[0])'
    tagless = 'n.lastIndexOf(":") > n.lastIndexOf("/") ? n.substring(0, n.lastIndexOf(":")) : n'
    yield "repositories", f"variables.tagged.map(n, {tagless}).map(n, n + {cel.string(ANY_TAG)})"
    by_name, by_repository = "variables.images[i]", "variables.repositories[i]"
    key = f"{by_name} in variables.known ? {by_name} : {by_repository}"
    yield "keys", f"variables.all.map(i, {key})"
    yield "gets", 'variables.keys.map(k, k in variables.known ? variables.known[k].gets[0] : "")'
    yield "image_paths", "variables.keys.map(k, k in variables.known ? variables.known[k].path : [])"
    sets = "variables.bootstrap && k in variables.known ? variables.known[k].sets : []"
    yield "image_sets", f"variables.keys.map(k, {sets})"
    yield "insisted", f"{annotation(names.BOOTSTRAP)}.hasValue()"
    own = f"variables.containers[i].exists(e, e.name == {cel.string(names.PYTHONPATH)})"
    enough = f'!(variables.gets[i] in ["", "{NOTHING}"]) && (variables.image_paths[i].size() > 0 || {own})'
    yield "fit", f"variables.all.map(i, !variables.bootstrap || variables.insisted || ({enough}))"


def paths(images: Mapping[str, Known] | None) -> str:
    """Return the PYTHONPATH of each container that sets none, as `ledger.prefix` writes it.

    What `envFrom` brings is not seen here, but the kubelet resolves it in what comes after; it hides what the image sets.
    """
    seen, unseen = cel.string(names.MOUNT_PATH), cel.string(f"{names.MOUNT_PATH}:$({names.PYTHONPATH})")
    if images is not None:
        there = 'variables.image_paths[i].exists(p, p != "")'
        seen = f"({there} ? {cel.string(OF_IMAGE)} + variables.image_paths[i][0] : {seen})"
    return f"variables.all.map(i, object.spec.containers[i].?envFrom.orValue([]).size() == 0 ? {seen} : {unseen})"


def origin() -> str:
    """Return the resource attribute that names the workload, with a comma behind; empty for a pod of its own."""
    patched = {name: kind.attribute for name, kind in KINDS.items() if kind.keeps == CONTROLLER_REVISION}
    text = '""'
    for kind, attribute in {"ReplicaSet": "k8s.replicaset.name", **patched, "Job": "k8s.job.name"}.items():
        text = f'variables.kind == "{kind}" ? "{attribute}=" + variables.name + "," : {text}'
    cron = 'variables.scheduled ? "k8s.cronjob.name=" + variables.workload + ",k8s.job.name=" + variables.name + ","'
    return f'variables.deployed ? "{KINDS["Deployment"].attribute}=" + variables.workload + "," : {cron} : {text}'


def service() -> str:
    """Return `service.name`, in the order of `containers.service_name`, safe from the kubelet's `$(…)`."""
    named = f'{annotation(names.SERVICE_NAME)}.orValue("").trim()'
    labelled = f'{label(names.NAME_LABEL)}.orValue("")'
    chosen = f'{named} != "" ? {named} : {labelled} != "" ? {labelled} : variables.workload'
    return f'({chosen}).replace("$(", "$$(")'


def fitting() -> Iterator[str]:
    """Yield what has to hold lest something of the user's be touched: the refusals of `choose` and `plan`."""
    yield "variables.chosen.size() > 0"
    yield f'{annotation(names.BOOTSTRAP)}.optMap(v, v.trim().lowerAscii() in ["true", "false"]).orValue(true)'
    there = "object.spec.containers.exists(c, c.name == n)"
    yield f"variables.asked.optMap(a, a.all(n, {there})).orValue(true)"
    sourced = f"e.name == {cel.string(names.PYTHONPATH)} && has(e.valueFrom)"
    occupied = f'm.mountPath.matches("^{names.MOUNT_PATH}/*$")'
    clash = (
        f"variables.containers[i].exists(e, {sourced})",
        f"object.spec.containers[i].?volumeMounts.orValue([]).exists(m, {occupied})",
    )
    yield f"!variables.mounting.exists(i, {' || '.join(clash)})"
    volume = f"object.spec.?volumes.orValue([]).exists(v, v.name == {cel.string(names.VOLUME)})"
    yield f"(variables.mounting.size() == 0 || !{volume})"
