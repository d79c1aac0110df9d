"""The command lines of the control plane: pure functions from a layout to words, so that flags are read in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SERVICE_RANGE = "10.96.0.0/16"
POD_RANGE = "10.244.0.0/16"
DNS_ADDRESS = "10.96.0.10"
API_SERVICE_ADDRESS = "10.96.0.1"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where one control plane lives: its *directory*, the *address* it serves on, and its ports."""

    directory: Path
    address: str
    api_port: int
    etcd_port: int
    etcd_peer_port: int

    @property
    def pki(self) -> Path:
        """Certificates and keys."""
        return self.directory / "pki"

    @property
    def url(self) -> str:
        """The API server as clients name it."""
        return f"https://{self.address}:{self.api_port}"

    def log(self, component: str) -> Path:
        """Where *component* writes."""
        return self.directory / "logs" / f"{component}.log"

    def kubeconfig(self, component: str) -> Path:
        """What *component* reaches the API server with."""
        return self.directory / f"{component}.kubeconfig"


def etcd(layout: Layout, binary: Path) -> list[str | Path]:
    """Return the command of etcd: no fsync, since its data is gone with the cluster anyway."""
    client = f"https://{layout.address}:{layout.etcd_port}"
    peer = f"http://{layout.address}:{layout.etcd_peer_port}"
    return [
        binary,
        f"--data-dir={layout.directory / 'etcd'}",
        "--unsafe-no-fsync",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        f"--cert-file={layout.pki / 'etcd.crt'}",
        f"--key-file={layout.pki / 'etcd.key'}",
        f"--trusted-ca-file={layout.pki / 'ca.crt'}",
        "--client-cert-auth",
        "--log-level=warn",
    ]


def api_server(layout: Layout, binary: Path, *, node: bool, controllers: bool) -> list[str | Path]:
    """Return the command of kube-apiserver; *node*: a kubelet joins, *controllers*: a controller manager runs."""
    pki = layout.pki
    command: list[str | Path] = [
        binary,
        f"--bind-address={layout.address}",
        f"--advertise-address={layout.address}",
        f"--secure-port={layout.api_port}",
        f"--etcd-servers=https://{layout.address}:{layout.etcd_port}",
        f"--etcd-cafile={pki / 'ca.crt'}",
        f"--etcd-certfile={pki / 'apiserver-etcd.crt'}",
        f"--etcd-keyfile={pki / 'apiserver-etcd.key'}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--token-auth-file={pki / 'tokens.csv'}",
        f"--service-account-key-file={pki / 'service-accounts.pub'}",
        f"--service-account-signing-key-file={pki / 'service-accounts.key'}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        f"--authorization-mode={'Node,RBAC' if node else 'RBAC'}",
        "--profiling=false",
    ]
    if node:
        command += [
            "--allow-privileged",
            f"--kubelet-client-certificate={pki / 'apiserver-kubelet.crt'}",
            f"--kubelet-client-key={pki / 'apiserver-kubelet.key'}",
            f"--kubelet-certificate-authority={pki / 'ca.crt'}",
            "--kubelet-preferred-address-types=InternalIP",  # the node's name resolves nowhere
            "--enable-admission-plugins=NodeRestriction",
        ]
    else:
        command.append("--endpoint-reconciler-type=none")  # an endpoint on loopback is refused
    if not controllers:
        # Nobody makes the default ServiceAccounts, and with this plugin no pod can be made without one.
        command.append("--disable-admission-plugins=ServiceAccount")
    return command


def controller_manager(layout: Layout, binary: Path) -> list[str | Path]:
    """Return the command of kube-controller-manager."""
    kubeconfig = layout.kubeconfig("controller-manager")
    return [
        binary,
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        "--secure-port=0",
        "--leader-elect=false",
        "--use-service-account-credentials",
        f"--flex-volume-plugin-dir={layout.directory / 'volume-plugins'}",  # made at start, in /usr by default
        f"--root-ca-file={layout.pki / 'ca.crt'}",
        f"--service-account-private-key-file={layout.pki / 'service-accounts.key'}",
    ]
