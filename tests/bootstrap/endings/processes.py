"""The processes of the applications, so that none is left behind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.bootstrap.process import start

if TYPE_CHECKING:
    import subprocess
    from contextlib import ExitStack

APPS = Path(__file__).resolve().parent / "apps"


def launch(stack: ExitStack, app: str, *args: str, endpoint: str, **env: str) -> subprocess.Popen[str]:
    """Start the application *app*, which does not outlive the *stack*."""
    process = start(APPS / app, *args, endpoint=endpoint, **env)

    def end() -> None:
        process.kill()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        process.wait()

    stack.callback(end)
    return process
