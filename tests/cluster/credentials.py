"""Who is who in one cluster: certificates for the components, a token for the administrator, a kubeconfig for each client."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.cluster import kubeconfig
from tests.cluster.api import Api
from tests.cluster.pki import Authority

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.cluster.commands import Layout


@dataclass(frozen=True, slots=True)
class Client:
    """A component that speaks to the API server as *user* of *groups*, and itself serves at *hosts*."""

    user: str
    groups: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


CONTROLLERS = {"controller-manager": Client("system:kube-controller-manager")}


def issue(layout: Layout, hosts: tuple[str, ...], clients: Mapping[str, Client]) -> Api:
    """Write every file; *hosts* are the API server's names and addresses. Return the administrator's way in."""
    authority = Authority(layout.pki)
    authority.issue("etcd", "etcd", hosts=(layout.address,))
    authority.issue("apiserver-etcd", "apiserver-etcd")
    authority.issue("apiserver", "kube-apiserver", hosts=(layout.address, *hosts))
    # As kubeadm has it: to the kubelet the API server is an administrator.
    authority.issue("apiserver-kubelet", "kube-apiserver-kubelet-client", groups=("system:masters",))
    authority.key_pair("service-accounts")
    for name, client in clients.items():
        authority.issue(name, client.user, groups=client.groups, hosts=client.hosts)
        certificate = layout.pki / f"{name}.crt"
        kubeconfig.by_certificate(layout.kubeconfig(name), layout.url, authority.file, certificate)
    token = secrets.token_urlsafe(24)
    tokens = layout.pki / "tokens.csv"
    tokens.touch(mode=0o600)
    tokens.write_text(f'{token},admin,admin,"system:masters"\n')
    kubeconfig.by_token(layout.kubeconfig("admin"), layout.url, authority.file, token)
    return Api(layout.url, authority.file, token)
