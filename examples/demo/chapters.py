"""The demo's chapters, in the order in which they are told."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from examples.demo import diff, table, tree
from examples.demo.jaeger import Jaeger, Span, Trace
from examples.demo.scenario import FILES, IMAGES, INJECT, NAMESPACE, RELEASE, SERVICES, Scenario, manifests
from examples.demo.terminal import width
from examples.demo.wait import eventually

if TYPE_CHECKING:
    from examples.demo.terminal import Step, Terminal
    from tests.cluster import Cluster

SHOWN = "payment-service"  # the Deployment that is looked at closely
ORDERS = 40  # enough for a ratio of 0.1 to keep some


class Demo:
    """The story of one demo on one cluster."""

    def __init__(self, scenario: Scenario, terminal: Terminal) -> None:
        self.scenario, self.terminal = scenario, terminal
        self.kubectl = scenario.kubectl
        self.jaeger = Jaeger(self.kubectl)
        self.before: dict[str, dict] = {}
        self.hashes: dict[str, str] = {}

    def play(self, local: Cluster | None = None) -> None:
        """Tell everything. *local*: the cluster to start first; None where the user brought one."""
        started = time.monotonic()
        if local:
            self.start(local)
        self.install()
        self.deploy()
        self.trace()
        self.changes()
        self.status()
        self.one_trace()
        self.queries()
        self.way_back()
        self.epilogue(local, time.monotonic() - started)

    def start(self, local: Cluster) -> None:
        """Start the cluster of this machine, with the scenario's images in it."""
        with self.terminal.step("control plane, node, DNS") as step, step.captured():
            local.up(report=step.note)
        with self.terminal.step("images of operator, Collector, Jaeger and services") as step, step.captured():
            local.load(*IMAGES, report=step.note)

    def install(self) -> None:
        """Install the operator and a trace backend."""
        self.terminal.chapter("The operator, and a Jaeger to look at traces")
        self.terminal.command(
            f"helm install {RELEASE} charts/grpctracing-operator -n grpctracing-system --create-namespace"
        )
        with self.terminal.step("operator ready"):
            self.scenario.install()
        with self.terminal.step("Jaeger ready"):
            self.scenario.deploy("jaeger")
            self.scenario.within("observability").wait_settled("jaeger")

    def deploy(self) -> None:
        """Deploy the services without a word about tracing; undo what an earlier demo left."""
        self.terminal.chapter("Services as their teams wrote them: without a word about tracing")
        self.terminal.command(f"kubectl apply {' '.join(f'-f examples/manifests/{name}.yaml' for name in FILES)}")
        with self.terminal.step(f"{', '.join(SERVICES)} serve"):
            self.scenario.deploy(FILES[0])
            self.scenario.forget()
            self.scenario.deploy(*FILES)
            for name in SERVICES:
                self.scenario.annotate(name, f"{INJECT}-")
            self.scenario.wait_settled(*SERVICES)
        self.before = {name: self.scenario.deployment(name) for name in SERVICES}
        self.hashes = {name: self.scenario.template_hash(name) for name in SERVICES}

    def trace(self) -> None:
        """Annotate, apply, wait for proof."""
        self.terminal.chapter("Trace them: an annotation each, one object")
        for name in SERVICES:
            self.terminal.command(f"kubectl annotate deployment {name} -n {NAMESPACE} {INJECT}=true")
            self.scenario.annotate(name, f"{INJECT}=true")
        self.terminal.command("kubectl apply -f examples/manifests/tracing.yaml")
        with self.terminal.step("rolled out, healthy, and spans of each seen by the Collector") as step:
            self.scenario.trace(*manifests("tracing"))
            self._instrumented(step)

    def _instrumented(self, step: Step, within: float = 300) -> None:
        def all_instrumented() -> bool:
            states = self.scenario.states()
            step.note(", ".join(f"{name} {states.get(name, '…')}" for name in SERVICES))
            return all(states.get(name) == "Instrumented" for name in SERVICES)

        eventually(
            all_instrumented,
            within=within,
            what="every Deployment Instrumented",
            every=1,
            tell=lambda: f"{self.scenario.tracing().get('status')}; {self.scenario.trouble()}",
        )

    def changes(self) -> None:
        """Show the Deployments before and after."""
        self.terminal.chapter("What changed in the Deployments")
        for name in (SHOWN, "payment-go"):
            self.terminal.say(f"   {name}", "bold")
            after = self.scenario.deployment(name)
            self.terminal.block(diff.render(self.before[name], after, width=width() - 3, colour=self.terminal.colour))
        self.terminal.say(
            "   payment-go has an SDK in its code: grpctracing.dev/bootstrap=false gives it the variables alone.", "dim"
        )

    def status(self) -> None:
        """Show what the object says."""
        self.terminal.chapter("What the object says")
        self.terminal.command(f"kubectl get gtr -n {NAMESPACE}")
        self.terminal.block(self.kubectl("get", "gtr", "--namespace", NAMESPACE))
        rows = [
            (each["name"], each["state"], each.get("reason", ""), each.get("message", ""))
            for each in self.scenario.tracing()["status"].get("workloads", ())
        ]
        self.terminal.block(table.render(("WORKLOAD", "STATE", "REASON", "MESSAGE"), rows, width=width() - 3))

    def one_trace(self) -> None:
        """Place orders until the sampler keeps one, and show its trace."""
        self.terminal.chapter("One call, all the way: client → order (asyncio) → payment (Python) and payment (Go)")
        self.terminal.command(
            f"kubectl exec -n {NAMESPACE} deploy/load-client -- python3 -m load.client --orders {ORDERS}"
        )
        since = time.time()
        with self.terminal.step("orders placed; a tenth of them is sampled") as step:
            self.scenario.load("--orders", str(ORDERS))

            def whole() -> Trace | None:
                found = self.jaeger.traces("order-service", operation="order.OrderService/PlaceOrder", since=since)
                step.note(f"{len(found)} traces of {ORDERS} orders")
                return max((each for each in found if _spans_all(each)), key=len, default=None)

            trace = eventually(whole, within=90, what="a sampled order with all its spans in Jaeger", every=2)
        self.terminal.block(tree.render(trace, width=width() - 3, colour=self.terminal.colour))

    def queries(self) -> None:
        """Find the slow and the failed calls with Jaeger's own query."""
        self.terminal.chapter("No slow and no failed call is lost to the ratio")
        self.terminal.say("   keep: {errors: true, slowerThan: 1s} exports them even where the sampler said no.", "dim")
        since = time.time() - 5
        self.scenario.load("--ok=20", "--slow=2", "--failing=3")
        searches = (
            ("slow", "server calls of 1 s and more", {"tags": {"span.kind": "server"}, "longer_than": "1s"}),
            (
                "failed",
                "server calls that ended UNAVAILABLE",
                {"tags": {"span.kind": "server", "rpc.response.status_code": "UNAVAILABLE"}},
            ),
        )
        for word, title, query in searches:
            wanted = 2 if word == "slow" else 3

            def found(query=query, word=word, wanted=wanted) -> list[Span]:
                spans = _matching(self.jaeger.traces(SHOWN, since=since, **query), word)
                return spans if len(spans) >= wanted else []

            with self.terminal.step(f"{title}, by query"):
                spans = eventually(found, within=60, what=f"{wanted} {word} calls found in Jaeger", every=1)
            rows = table.spans(sorted(spans, key=lambda span: span.start)[-5:])
            self.terminal.block(table.render(*rows, width=width() - 3))

    def way_back(self) -> None:
        """Opt one Deployment out, show that it is what it was, and opt it in again."""
        self.terminal.chapter("The way back: the pod template is exactly what it was")
        instrumented = self.scenario.template_hash(SHOWN)
        self.terminal.command(f"kubectl annotate deployment {SHOWN} -n {NAMESPACE} {INJECT}=false --overwrite")
        with self.terminal.step("reverted and rolled out"):
            self.scenario.annotate(SHOWN, f"{INJECT}=false")
            eventually(lambda: self.scenario.template_hash(SHOWN) != instrumented, within=120, what=f"{SHOWN} reverted")
            self.scenario.wait_settled(SHOWN)
        now = self.scenario.deployment(SHOWN)
        rows = [
            ("before", self.hashes[SHOWN]),
            ("instrumented", instrumented),
            ("opted out", self.scenario.template_hash(SHOWN)),
        ]
        self.terminal.block(table.render(("", "POD-TEMPLATE-HASH"), rows, width=width() - 3))
        self.terminal.block(f"template before and now: {diff.render(self.before[SHOWN], now)}")
        with self.terminal.step("opted in again, so that you can go on from here") as step:
            self.scenario.annotate(SHOWN, f"{INJECT}=true")
            self._instrumented(step)

    def epilogue(self, local: Cluster | None, seconds: float) -> None:
        """Say what is there now and what to try."""
        self.terminal.say(f"\nDone in {seconds / 60:.1f} minutes. Everything keeps running. Try:", "bold")
        if local:
            self.terminal.command(
                f"export KUBECONFIG={self.kubectl.kubeconfig} PATH={Path(self.kubectl.binary).parent}:$PATH"
            )
        for line in (
            f"kubectl describe gtr default -n {NAMESPACE}",
            f'kubectl patch gtr default -n {NAMESPACE} --type merge -p \'{{"spec":{{"sampler":{{"argument":"1.0"}}}}}}\'   # no pod restarts',
            f"kubectl logs -n {NAMESPACE} deploy/load-client -f",
            f"kubectl delete gtr default -n {NAMESPACE}                # every Deployment is as before",
            f"helm uninstall {RELEASE} -n grpctracing-system",
        ):
            self.terminal.command(line)
        if local:
            self.terminal.command(
                "make demo-down                                      # removes the cluster and all it left"
            )


def _spans_all(trace: Trace) -> bool:
    """Whether order and both payment services are in *trace*, each with its server span."""
    serving = {span.service for span in trace if span.kind == "server"}
    return {"order-service", "payment-service", "payment-go"} <= serving


def _matching(traces: list[Trace], word: str) -> list[Span]:
    """Return the server spans that the query was for: Jaeger answers with whole traces."""
    return [
        span
        for trace in traces
        for span in trace
        if span.kind == "server"
        and span.service == SHOWN
        and (span.duration >= 1 if word == "slow" else span.status == "UNAVAILABLE")
    ]
