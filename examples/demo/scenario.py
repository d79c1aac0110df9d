"""The scenario as functions: install, deploy, annotate, look. The demo tells it; the end-to-end tests hold it to its word."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from examples.demo.kubectl import CommandError, run
from examples.demo.wait import eventually

if TYPE_CHECKING:
    from examples.demo.kubectl import Kubectl

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "examples" / "manifests"
CHART = ROOT / "charts" / "grpctracing-operator"
NAMESPACE = "production"
OBSERVABILITY = "observability"
OPERATOR_NAMESPACE = "grpctracing-system"
RELEASE = "grpctracing"
REGISTRY = "grpctracing"  # what image names of the manifests begin with
SERVICES = ("payment-service", "payment-go", "order-service", "load-client")
FILES = ("namespace", "payment", "payment-go", "order", "load")
IMAGES = tuple(
    f"{REGISTRY}/{name}:dev"
    for name in (
        "operator",
        "otel-collector",
        "jaeger",
        "example-payment",
        "example-payment-go",
        "example-order",
        "example-load",
    )
)
OURS = "app.kubernetes.io/managed-by=grpctracing"
INJECT = "grpctracing.dev/inject"

Object = dict[str, Any]


def manifests(*names: str, registry: str = REGISTRY) -> list[Object]:
    """Return the objects of examples/manifests/NAME.yaml, with images from *registry*."""
    objects = [each for name in names for each in yaml.safe_load_all((MANIFESTS / f"{name}.yaml").read_text())]
    for found in objects:
        for container in containers(found):
            container["image"] = container["image"].replace(f"{REGISTRY}/", f"{registry}/", 1)
    return objects


def containers(found: Object) -> list[Object]:
    """Return the containers of a workload; none for anything else."""
    return found.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [])


def settled(deployment: Object) -> bool:
    """Whether the rollout is over: observed, and every replica new and available."""
    status, wanted = deployment.get("status", {}), deployment["spec"]["replicas"]
    return status.get("observedGeneration", 0) >= deployment["metadata"]["generation"] and all(
        status.get(count, 0) == wanted for count in ("replicas", "updatedReplicas", "availableReplicas")
    )


def injected(deployment: Object) -> bool:
    """Whether the pod template carries what the operator adds to every container."""
    return any(
        entry["name"] == "GRPCTRACING_POD_NAME" for each in containers(deployment) for entry in each.get("env", ())
    )


@dataclass(frozen=True)
class Scenario:
    """The scenario of the examples on one cluster."""

    kubectl: Kubectl
    helm: str
    registry: str = REGISTRY
    namespace: str = NAMESPACE
    build: str = ""
    """What the operator's image was made of: a tag that stays the same restarts no pod, a changed annotation does."""

    def within(self, namespace: str) -> Scenario:
        """Return the same in another namespace."""
        return replace(self, namespace=namespace)

    # ---- the operator

    def install_command(self, **values: str) -> list[str]:
        """Return the Helm command line of an installation with these images and *values*."""
        settings = {
            "image.repository": f"{self.registry}/operator",
            "image.tag": "dev",
            "collectorImage": f"{self.registry}/otel-collector:dev",
            **({"podAnnotations.build": self.build} if self.build else {}),
            **values,
        }
        command = ["upgrade", "--install", RELEASE, str(CHART.relative_to(ROOT)), "--namespace", OPERATOR_NAMESPACE]
        command.append("--create-namespace")
        for key, value in settings.items():
            command += ["--set", f"{key}={value}"]
        return [*command, "--wait", "--timeout", "5m"]

    def install(self, **values: str) -> None:
        """Install the operator, or bring it to this version and these *values* of the chart."""
        try:
            self._helm(*self.install_command(**values))
        except CommandError as error:
            raise CommandError(error.command, f"{error.stderr}\n{self.within(OPERATOR_NAMESPACE).trouble()}") from error

    def uninstall(self) -> None:
        """Uninstall the operator; its hook reverts every Deployment first."""
        self._helm("uninstall", RELEASE, "--namespace", OPERATOR_NAMESPACE, "--wait", "--timeout", "5m")

    def _helm(self, *arguments: str) -> str:
        command = [self.helm, "--kubeconfig", str(self.kubectl.kubeconfig), *arguments]
        return run(command, timeout=400, cwd=ROOT)

    # ---- workloads

    def deploy(self, *names: str) -> None:
        """Apply manifests of these names."""
        self.kubectl.apply(*manifests(*names, registry=self.registry))

    def deployment(self, name: str) -> Object:
        """Return a Deployment."""
        return self.kubectl.get("deployment", name, self.namespace)

    def wait_settled(self, *names: str, within: float = 180) -> None:
        """Wait until the rollouts of these Deployments are over."""
        for name in names:
            eventually(
                lambda name=name: settled(self.deployment(name)),
                within=within,
                what=f"rollout of {self.namespace}/{name}",
                tell=self.trouble,
            )

    def trouble(self) -> str:
        """Return why pods of the namespace are not ready: what they wait for, or the last that they said."""
        reasons = []
        for pod in self.kubectl.items("pods", self.namespace):
            name = pod["metadata"]["name"]
            for state in pod["status"].get("containerStatuses", ()):
                if waiting := state["state"].get("waiting"):
                    reasons.append(f"{name}: {waiting['reason']} {waiting.get('message', '')}".strip())
                elif not state["ready"]:
                    log = self.kubectl(
                        "logs", name, "--namespace", self.namespace, "--container", state["name"], "--tail=3"
                    )
                    reasons.append(f"{name} is not ready: {log.strip()}")
        return "; ".join(reasons) or "no container waits for anything"

    def annotate(self, name: str, annotation: str) -> None:
        """Annotate a Deployment (`key=value`, or `key-` to remove)."""
        self.kubectl("annotate", "deployment", name, "--namespace", self.namespace, "--overwrite", annotation)

    def trace(self, tracing: Object) -> None:
        """Apply a GrpcTracing; the API server may still be learning the kind right after the installation."""
        eventually(
            lambda: self.kubectl.apply(tracing), within=30, what="GrpcTracing is a known kind", errors=(CommandError,)
        )

    def forget(self, name: str = "default") -> None:
        """Delete a GrpcTracing and wait until it is gone."""
        self.kubectl(
            "delete",
            "grpctracing",
            name,
            "--namespace",
            self.namespace,
            "--ignore-not-found",
            "--wait",
            "--timeout=180s",
        )

    def tracing(self, name: str = "default") -> Object:
        """Return a GrpcTracing."""
        return self.kubectl.get("grpctracing", name, self.namespace)

    def states(self, name: str = "default") -> dict[str, str]:
        """Return the state of each workload that the GrpcTracing's status lists."""
        workloads = self.tracing(name).get("status", {}).get("workloads", ())
        return {each["name"]: each["state"] for each in workloads}

    def wait_state(self, wanted: set[str], *names: str, tracing: str = "default", within: float = 180) -> None:
        """Wait until each of these Deployments is in one of the *wanted* states."""
        eventually(
            lambda: {self.states(tracing).get(name) for name in names} <= wanted,
            within=within,
            what=f"{', '.join(names)} {' or '.join(sorted(wanted))} in {self.namespace}",
            tell=lambda: f"status: {self.tracing(tracing).get('status')}; pods: {self.trouble()}",
        )

    def template_hash(self, name: str) -> str:
        """Return the pod-template-hash of the Deployment's newest ReplicaSet, as the controller sees it."""
        deployment = self.deployment(name)
        revision = deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
        hashes = [
            found["metadata"]["labels"]["pod-template-hash"]
            for found in self.kubectl.items("replicasets", self.namespace)
            if any(
                owner["uid"] == deployment["metadata"]["uid"] for owner in found["metadata"].get("ownerReferences", ())
            )
            and found["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == revision
        ]
        return hashes[0]

    def load(
        self, *arguments: str, service: str = "", environment: tuple[str, ...] = (), timeout: float = 300
    ) -> Object:
        """Make calls in the load client's container and return its summary; *service*: the name its spans carry."""
        settings = [*environment, *([f"OTEL_SERVICE_NAME={service}"] if service else [])]
        command = ["env", *settings, "python3", "-m", "load.client", *arguments]
        return yaml.safe_load(self.kubectl.exec(NAMESPACE, "deploy/load-client", *command, timeout=timeout))
