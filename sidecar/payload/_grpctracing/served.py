"""One sync call while it is served: what `server_sync` hangs on grpc's own record of it, and counts."""

from .call import RECEIVED, SENT


class Served:
    """What hangs on grpc's record of one call: our Call (None: not told), and what is current while it runs. Called by grpc when it is over with the call."""

    __slots__ = ("around", "doubtful", "event", "record", "settle", "state", "stop_at", "take")

    def __init__(self, record, around, streams, event, state, settle):
        self.record = record
        self.around = around
        # What grpc tells as the end of the requests may be a request that is too long, whose status its core sends.
        self.doubtful = streams
        self.event = event  # with which it came
        self.state = state
        self.settle = settle
        self.stop_at = None  # when the server cancels it
        self.take = None  # grpc's function for the message that is awaited; it awaits one at a time

    def __call__(self):
        if self.state._grpctracing is not None:  # else that is done
            self.settle(self.state, True)  # noqa: FBT003 - over

    def took(self, event):
        """Count the message, if it is one, and let grpc have it."""
        data = event.batch_operations[0].message()
        if data is not None:
            record = self.record
            record.received += 1
            record.bytes_received += len(data)
            if record.note is not None:
                record.note(RECEIVED, record.received, len(data))
        return self.take(event)


def counted(record, data):
    """Count a message that goes out."""
    if record.counts and isinstance(data, bytes):  # else grpc is about to raise
        record.sent += 1
        record.bytes_sent += len(data)
        if record.note is not None:
            record.note(SENT, record.sent, len(data))


def told(state):
    """Return the Call of the call that grpc keeps in *state*, None where it is not told."""
    served = state._grpctracing
    return served.record if served is not None else None
