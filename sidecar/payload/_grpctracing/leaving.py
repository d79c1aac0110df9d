"""The calls that are still going on when the process ends: nothing else will tell of them.

Nobody keeps a list of open calls, which would cost every call something and would keep those that the application has let go of. So the objects of the
process are looked through, once and at its very end (measured: 0.1 s for a million).
"""

import gc

from . import status
from .call import Call, Eventful, Uncounted

REASON = "the process ended first"


def end_calls(pipeline, since):
    """End what began after *since* (ns of the epoch; before, it belongs to the parent process) and has not ended. A span of the application's own SDK is left alone: that is gone by now."""
    # by identity: to compare the classes of the application's objects may run its code
    for call in [
        found for found in gc.get_objects() if (kind := type(found)) is Call or kind is Eventful or kind is Uncounted
    ]:
        if not call.end_ns and call.span is None and call.start_ns >= since:
            # the connection closes: clients of this process see it as unavailable, its servers see a call that is cancelled
            code = status.CANCELLED if call.kind == status.CLIENT else status.UNAVAILABLE
            if call.stop(code, REASON):
                pipeline.finish(call)
