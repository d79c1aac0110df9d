"""The one exception of the harness: its text is written for the person at the terminal, with the way out."""


class ClusterError(Exception):
    """What is wrong and what to do about it; the command line prints it without a traceback."""
