"""The configuration files of the node's components: pure functions from a layout to text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.cluster.commands import DNS_ADDRESS, POD_RANGE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.commands import Layout

NODE_NAME = "grpctracing"
PAUSE_IMAGE = "grpctracing/pause:dev"
DNS_PORT = 1053
DNS_READY_PORT = 8181
_SUBNET = "10.244.0.0/24"


def containerd_socket(layout: Layout) -> Path:
    """Return where containerd listens."""
    return layout.directory / "containerd" / "containerd.sock"


def containerd(layout: Layout, cni_plugins: Path) -> str:
    """Return containerd's configuration: everything it writes lies in our directory, network namespaces too."""
    home = layout.directory
    return f"""\
version = 2
root = "{home}/containerd/root"
state = "{home}/containerd/state"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = "{containerd_socket(layout)}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  netns_mounts_under_state_dir = true
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni_plugins}"
    conf_dir = "{home}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
        Root = "{home}/runc"
"""


def cni(layout: Layout) -> str:
    """Return the pod network: a routed pair of interfaces per pod.

    Not a bridge: there the answer of a Service's pod would bypass the packet filter unless br_netfilter is loaded, and a
    bridge would stay behind. These go with their network namespace.
    """
    ipam = {
        "type": "host-local",
        "ranges": [[{"subnet": _SUBNET}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(layout.directory / "ipam"),
    }
    return _json(cniVersion="0.4.0", name=NODE_NAME, plugins=[{"type": "ptp", "ipMasq": False, "ipam": ipam}])


def kubelet(layout: Layout) -> str:
    """Return the kubelet's configuration: made for a small machine with any cgroup version and no systemd."""
    pki = layout.pki
    return _json(
        apiVersion="kubelet.config.k8s.io/v1beta1",
        kind="KubeletConfiguration",
        address=layout.address,
        healthzBindAddress=layout.address,
        authentication={
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        authorization={"mode": "Webhook"},
        tlsCertFile=str(pki / "kubelet.crt"),
        tlsPrivateKeyFile=str(pki / "kubelet.key"),
        containerRuntimeEndpoint=f"unix://{containerd_socket(layout)}",
        cgroupDriver="cgroupfs",
        failCgroupV1=False,
        failSwapOn=False,
        enforceNodeAllocatable=["pods"],
        clusterDNS=[DNS_ADDRESS],
        clusterDomain="cluster.local",
        resolvConf="",  # the host's search domains are nobody's business in a pod
        imageGCHighThresholdPercent=100,
        imageGCLowThresholdPercent=99,
        evictionHard={"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        podLogsDir=str(layout.directory / "pod-logs"),
        volumePluginDir=str(layout.directory / "volume-plugins"),
        syncFrequency="10s",  # how soon a changed ConfigMap shows in a running pod; a minute by default
        registerNode=True,
        rotateCertificates=False,
    )


def kube_proxy(layout: Layout) -> str:
    """Return kube-proxy's configuration: it leaves every kernel setting alone."""
    return _json(
        apiVersion="kubeproxy.config.k8s.io/v1alpha1",
        kind="KubeProxyConfiguration",
        mode="iptables",
        clientConnection={"kubeconfig": str(layout.kubeconfig("kube-proxy"))},
        hostnameOverride=NODE_NAME,
        bindAddress=layout.address,
        healthzBindAddress=f"{layout.address}:10256",
        metricsBindAddress=f"{layout.address}:10249",
        nodePortAddresses=[f"{layout.address}/32"],
        clusterCIDR=POD_RANGE,
        conntrack={"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        iptables={"localhostNodePorts": False},
    )


def coredns(layout: Layout) -> str:
    """Return CoreDNS's configuration: the cluster's names; any other name does not exist.

    Two blocks, since within one `template` would answer before `kubernetes`, whatever their order here.
    """
    return f"""\
cluster.local:{DNS_PORT} in-addr.arpa:{DNS_PORT} {{
    bind {layout.address}
    errors
    ready {layout.address}:{DNS_READY_PORT}
    kubernetes {{
        kubeconfig {layout.kubeconfig("coredns")}
    }}
}}
.:{DNS_PORT} {{
    bind {layout.address}
    errors
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def write_all(layout: Layout, cni_plugins: Path) -> None:
    """Write every file under the layout's directory."""
    files = {
        "containerd.toml": containerd(layout, cni_plugins),
        "cni/10-grpctracing.conflist": cni(layout),
        "kubelet.json": kubelet(layout),
        "kube-proxy.json": kube_proxy(layout),
        "Corefile": coredns(layout),
    }
    for name, text in files.items():
        path = layout.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def dns_manifests(layout: Layout) -> dict[str, dict[str, Any]]:
    """Return path → object of what makes CoreDNS, a process on the node, the cluster's DNS Service."""
    service = {"app": "kube-dns"}
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]
    endpoints = [{**port, "port": DNS_PORT} for port in ports]
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    role = "system:coredns"
    watch = ["list", "watch"]
    rules = [
        {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": watch},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": watch},
    ]
    return {
        f"{rbac}/clusterroles/{role}": _object("rbac.authorization.k8s.io/v1", "ClusterRole", role, rules=rules),
        f"{rbac}/clusterrolebindings/{role}": _object(
            "rbac.authorization.k8s.io/v1",
            "ClusterRoleBinding",
            role,
            roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            subjects=[{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": role}],
        ),
        "/api/v1/namespaces/kube-system/services/kube-dns": _object(
            "v1", "Service", "kube-dns", service, spec={"clusterIP": DNS_ADDRESS, "ports": ports}
        ),
        "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices/kube-dns": _object(
            "discovery.k8s.io/v1",
            "EndpointSlice",
            "kube-dns",
            {"kubernetes.io/service-name": "kube-dns"},
            addressType="IPv4",
            ports=endpoints,
            endpoints=[{"addresses": [layout.address], "conditions": {"ready": True}}],
        ),
    }


def _object(api: str, kind: str, name: str, labels: dict[str, str] | None = None, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "labels": labels or {}}, **fields}


def _json(**fields: Any) -> str:
    return json.dumps(fields, indent=1)
