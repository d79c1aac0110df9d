"""Where the API server is and who we are: the pod's service account, or a kubeconfig."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kubernetes.aio import config
from kubernetes.aio.client import Configuration

if TYPE_CHECKING:
    from collections.abc import Mapping

KUBECONFIG = "KUBECONFIG"
IN_CLUSTER = "KUBERNETES_SERVICE_HOST"
DEFAULT_KUBECONFIG = str(Path("~/.kube/config").expanduser())


class NoCluster(Exception):  # noqa: N818 - a sentence for the user
    """Neither a service account nor a kubeconfig is there."""


async def load(environ: Mapping[str, str]) -> Configuration:
    """Return the connection of *environ*: `KUBECONFIG` if set, else the pod's own account, else `~/.kube/config`.

    Tokens of service accounts are read again once a minute by the library. Raises NoCluster.
    """
    loaded = Configuration()
    # The library tries three times by itself on some verbs; the work queue is the one place that retries here.
    loaded.retries = None
    # Python 3.13 refuses chains without an Authority Key Identifier; many clusters' own certificates have none.
    loaded.disable_strict_ssl_verification = True
    try:
        if environ.get(KUBECONFIG):
            await config.load_kube_config(environ[KUBECONFIG], client_configuration=loaded, persist_config=False)
        elif environ.get(IN_CLUSTER):
            config.load_incluster_config(client_configuration=loaded)
        else:
            await config.load_kube_config(DEFAULT_KUBECONFIG, client_configuration=loaded, persist_config=False)
    except config.ConfigException as error:
        raise NoCluster(f"no cluster to talk to: {error}. Set KUBECONFIG, or run in a pod.") from error
    return loaded
