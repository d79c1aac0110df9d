"""The packet filter: what the node adds by hand, and how all that it added goes away without touching a rule of others."""

from __future__ import annotations

import subprocess

from tests.cluster.commands import POD_RANGE
from tests.cluster.packages import installed, program

_COMMENT = "grpctracing"
_CHAINS = "KUBE-"
_FAMILIES = ("iptables", "ip6tables")


def allow_pods() -> None:
    """Let pods through machines that forward nothing by default (where Docker is installed, say)."""
    for direction in ("-s", "-d"):
        rule = f"-w -A FORWARD {direction} {POD_RANGE} -m comment --comment {_COMMENT} -j ACCEPT"
        subprocess.run([program("iptables"), *rule.split()], check=True)


def clean() -> None:
    """Remove our rules and every chain of kube-proxy and the kubelet, in both families and all tables."""
    for family in _FAMILIES:
        script = removal(saved(family))
        if script:
            command = [str(program(f"{family}-restore")), "--noflush", "-w"]
            subprocess.run(command, input=script, text=True, check=True)


def saved(family: str) -> str:
    """Return the rules of *family* as FAMILY-save prints them; nothing when the machine has no such program or family."""
    if not installed(f"{family}-save"):
        return ""
    done = subprocess.run([program(f"{family}-save")], check=False, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else ""


def rules(text: str) -> list[str]:
    """Return the rules, chains and policies in *text* that differ from an empty packet filter, each with its table."""
    found = []
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith("-A") or (line.startswith(":") and line.split()[1] != "ACCEPT"):
            found.append(f"{table} {line.split(' [')[0]}")
    return found


def removal(text: str) -> str:
    """Return what FAMILY-restore --noflush must read to remove our part of *text*; nothing when there is none."""
    script: list[str] = []
    for table in text.split("*")[1:]:
        name, *lines = table.splitlines()
        chains = [line.split()[0][1:] for line in lines if line.startswith(f":{_CHAINS}")]
        ours = [f"-D{line[2:]}" for line in lines if line.startswith("-A") and _in_chain_of_others(line)]
        if chains or ours:
            # Naming a chain empties it; all must be empty before the first can go, since they jump to each other.
            script += [f"*{name}", *(f":{chain} - [0:0]" for chain in chains), *ours]
            script += [*(f"-X {chain}" for chain in chains), "COMMIT"]
    return "".join(f"{line}\n" for line in script)


def _in_chain_of_others(line: str) -> bool:
    words = line.split()
    return not words[1].startswith(_CHAINS) and (f"-j {_CHAINS}" in line or f"--comment {_COMMENT} " in line)
