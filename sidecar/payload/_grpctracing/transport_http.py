"""OTLP/HTTP with protobuf bodies over http.client: one persistent connection, optional gzip, `Retry-After` obeyed.

http.client costs 29 ms and 8 MiB to import, so that happens at the first send, on the exporter's thread.
"""

from contextlib import suppress

from . import decode, log
from .lane import FAILED, RETRY, SENT, Outcome

_RETRYABLE = frozenset((429, 502, 503, 504))  # protocol/otlp, "Retryable Response Codes"
_MAX_ANSWER = 64 << 10


def _gzip(body):
    import zlib

    packer = zlib.compressobj(6, zlib.DEFLATED, 31)  # 31: the gzip container
    return packer.compress(body) + packer.flush()


class HttpTransport:
    """One connection to one Collector, made at the first send and again after a failure."""

    def __init__(self, endpoint):
        self._endpoint = endpoint
        self._connection = None

    def _connect(self):
        import http.client

        where = self._endpoint
        if not where.tls:
            return http.client.HTTPConnection(where.host, where.port)
        import ssl

        context = ssl.create_default_context(cafile=where.ca or None)
        if where.certificate:
            context.load_cert_chain(where.certificate, where.key or None)
        return http.client.HTTPSConnection(where.host, where.port, context=context)

    def send(self, signal, endpoint, body, timeout):
        """Send the request *body* of *signal*, wait at most *timeout* seconds per step of the exchange, return the Outcome. Raises nothing that the network can cause."""
        import http.client

        headers = {"Content-Type": "application/x-protobuf", "User-Agent": "grpctracing"}
        headers.update(endpoint.headers)
        if endpoint.gzip:
            body = _gzip(body)
            headers["Content-Encoding"] = "gzip"
        # a kept connection may have been closed by the server meanwhile: that one failure is tried again at once, on a new one
        connection = None
        for fresh in (self._connection is None, True):
            try:
                connection = self._connection = self._connection or self._connect()
                connection.timeout = timeout
                if connection.sock is not None:
                    connection.sock.settimeout(timeout)
                connection.request("POST", "/" + endpoint.path, body, headers)
                response = connection.getresponse()
                answer = response.read(_MAX_ANSWER)
                if not response.isclosed():  # more than we care to read
                    self.close()
                return _outcome(response.status, response.getheader("Retry-After"), answer)
            except (
                OSError,
                http.client.HTTPException,
                ValueError,
                AttributeError,
            ) as error:  # AttributeError: closed by shutdown meanwhile
                closed = self._connection is not connection  # by us, so the server may have taken the request
                self.close()
                if fresh or closed or isinstance(error, TimeoutError):
                    log.debug("%s to %r: %r" % (signal, endpoint, error))
                    return Outcome(RETRY, message=str(error) or type(error).__name__)
        return Outcome(RETRY)

    def close(self):
        """Close the connection; a send in flight on another thread fails at once."""
        connection, self._connection = self._connection, None
        if connection is not None:
            sock = connection.sock
            if sock is not None:
                with suppress(OSError):  # not connected any more, which is what we want
                    sock.shutdown(2)  # SHUT_RDWR: wakes the thread that waits in recv
            connection.close()

    def renew(self):
        """End what is in flight. What only connects goes on: it would send all the same, and could no longer hear that it was taken."""
        connection = self._connection
        if connection is not None and connection.sock is not None:
            self.close()

    def forkable(self):
        """Return whether a fork may happen while a send is in flight: the thread waits for a plain socket, of which the child only closes its copy.

        Not while it connects (the resolver has locks, and modules may be half-way through their import) and not under TLS (OpenSSL has locks).
        """
        connection = self._connection
        return connection is not None and connection.sock is not None and not self._endpoint.tls

    def abandon(self):
        """Forget the connection: in a forked child it is the parent's. Closing our copy of the descriptor sends nothing."""
        connection, self._connection = self._connection, None
        if connection is not None and connection.sock is not None:
            connection.sock.close()


def _outcome(status, retry_after, answer):
    if 200 <= status < 300:  # noqa: PLR2004 - success
        try:
            rejected, message = decode.partial_success(answer)
        except ValueError:  # an answer that is no protobuf: a proxy's page, and the status is all that counts
            rejected, message = 0, ""
        return Outcome(SENT, rejected=rejected, message=message)
    message = "HTTP %d" % status
    if status in _RETRYABLE:
        # seconds only; a date would need a calendar, and our own backoff is as good a guess
        asked = (retry_after or "").strip()
        wait = float(asked) if asked.isdecimal() else None
        return Outcome(RETRY, retry_after=wait, message=message)
    return Outcome(FAILED, message=message)
