"""Where the API server is and who we are: the pod's service account, or a kubeconfig."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml
from kubernetes.aio import config
from kubernetes.aio.client import Configuration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KUBECONFIG = "KUBECONFIG"
IN_CLUSTER = "KUBERNETES_SERVICE_HOST"
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
TOKEN_SECONDS: Final = 60.0
"""How old a token may be before its file is read again; the kubelet replaces it long before it expires."""
DEFAULT_KUBECONFIG = str(Path("~/.kube/config").expanduser())


class NoCluster(Exception):  # noqa: N818 - a sentence for the user
    """Neither a service account nor a kubeconfig is there."""


@dataclass(slots=True)
class TokenFile:
    """A token that somebody replaces from time to time.

    The library's own way reads the wall clock, so after that has been set back a token expires unnoticed; and it never reads
    the `tokenFile` of a kubeconfig again. *clock* is monotonic, in seconds.
    """

    path: Path
    clock: Callable[[], float] = time.monotonic
    token: str = ""
    read_at: float = 0.0

    def __call__(self, configuration: Configuration) -> None:
        """Put the token into *configuration*; the library calls this ahead of each request."""
        if not self.token or self.clock() - self.read_at >= TOKEN_SECONDS:
            self.read()
        configuration.api_key["BearerToken"] = f"Bearer {self.token}"

    def read(self) -> bool:
        """Read the file; tell whether it holds another token than before. What can't be read changes nothing."""
        before = self.token
        self.read_at = self.clock()
        with contextlib.suppress(OSError):
            self.token = self.path.read_text("utf-8").strip() or self.token
        return self.token != before


def refresh(configuration: Configuration) -> bool:
    """Read the token again after it was refused; tell whether that has brought another one."""
    hook = configuration.refresh_api_key_hook
    return isinstance(hook, TokenFile) and hook.read()


async def load(environ: Mapping[str, str]) -> Configuration:
    """Return the connection of *environ*: `KUBECONFIG` if set, else the pod's own account, else `~/.kube/config`.

    Tokens in files are read again once a minute. Raises NoCluster.
    """
    loaded = Configuration()
    # The library tries three times by itself on some verbs; the work queue is the one place that retries here.
    loaded.retries = None
    # Python 3.13 refuses chains without an Authority Key Identifier; many clusters' own certificates have none.
    loaded.disable_strict_ssl_verification = True
    try:
        if environ.get(KUBECONFIG):
            await config.load_kube_config(environ[KUBECONFIG], client_configuration=loaded, persist_config=False)
            if (path := token_file(Path(environ[KUBECONFIG]))) is not None:
                loaded.refresh_api_key_hook = TokenFile(path)
        elif environ.get(IN_CLUSTER):
            config.load_incluster_config(client_configuration=loaded)
            loaded.refresh_api_key_hook = TokenFile(SERVICE_ACCOUNT)
        else:
            await config.load_kube_config(DEFAULT_KUBECONFIG, client_configuration=loaded, persist_config=False)
    except config.ConfigException as error:
        raise NoCluster(f"no cluster to talk to: {error}. Set KUBECONFIG, or run in a pod.") from error
    return loaded


def token_file(kubeconfig: Path) -> Path | None:
    """Return the `tokenFile` of the user of the current context, if there is one; a list of files has none here."""
    try:
        content = yaml.safe_load(kubeconfig.read_text("utf-8"))
        contexts = {item["name"]: item["context"] for item in content["contexts"]}
        users = {item["name"]: item["user"] or {} for item in content["users"]}
        found = users[contexts[content["current-context"]]["user"]].get("tokenFile")
    except (OSError, KeyError, TypeError, yaml.YAMLError):
        return None
    return kubeconfig.parent / found if found else None
