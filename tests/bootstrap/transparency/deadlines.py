"""Timeouts and cancellation, from either side, in every form that they can be given."""

import threading

from tests.bootstrap.transparency.bench import Sync, attempt, bidi, case, echo


def until(event):
    def behavior(request, context):
        event.wait(30)
        return request if isinstance(request, bytes) else b"joined"

    return behavior


@case
def timeouts_of_any_value():
    with Sync("uu", echo) as s:
        good = [s.method(b"a", timeout=value).decode() for value in (None, 60, 60.5, 10**6)]
        bad = [attempt(lambda value=value: s.method(b"a", timeout=value))[2:4] for value in (-1, -0.5)]
        odd = [attempt(lambda value=value: s.method(b"a", value))[:1] for value in ("1", b"1", object, [])]
        return [good, bad, odd]


@case
def deadline_of_every_kind():
    over, seen = threading.Event(), []

    def stream(request, context):
        over.wait(30)
        yield b"late"

    for kind, behavior in (("uu", until(over)), ("us", stream), ("su", until(over)), ("ss", stream)):
        with Sync(kind, behavior) as s:

            def request(kind=kind):
                return b"a" if kind[0] == "u" else iter([b"a"])

            if kind[1] == "u":
                seen.append(attempt(lambda request=request: s.method(request(), timeout=0.2))[2:4])
                seen.append(attempt(lambda request=request: s.method.with_call(request(), timeout=0.2))[2:4])
                seen.append(attempt(lambda request=request: s.method.future(request(), timeout=0.2).result())[2:4])
            else:
                seen.append(attempt(lambda request=request: list(s.method(request(), timeout=0.2)))[2:4])
            over.set()
        over.clear()
    return seen


@case
def the_server_knows_the_deadline():
    seen = []

    def behavior(request, context):
        remaining = context.time_remaining()
        seen.append("without" if remaining is None or remaining > 10**6 else 30 < remaining <= 61)
        return request

    with Sync("uu", behavior) as s:
        s.method(b"a", timeout=60)
        s.method(b"a")
        s.method.future(b"a", timeout=60).result()
    return seen


@case
def the_server_notices_a_deadline():
    gone, over, seen = threading.Event(), threading.Event(), []

    def behavior(request, context):
        seen.append(context.add_callback(gone.set))
        gone.wait(30)
        seen.append([context.is_active(), context.add_callback(lambda: None)])
        over.set()
        return request

    with Sync("uu", behavior) as s:
        seen.append(attempt(lambda: s.method(b"a", timeout=0.3))[2:4])
        over.wait(30)
    return sorted(map(str, seen))


@case
def the_server_notices_a_cancel():
    begun, gone, seen = threading.Event(), threading.Event(), []

    def behavior(request, context):
        context.add_callback(lambda: (seen.append("callback"), gone.set()))
        begun.set()
        gone.wait(30)
        seen.append([context.is_active(), context.cancel()])
        return request

    with Sync("uu", behavior) as s:
        future = s.method.future(b"a")
        begun.wait(30)
        seen.append([future.cancel(), str(future.code()), future.details()])
        gone.wait(30)
        s.server.stop(5).wait()
    return sorted(map(str, seen))


@case
def the_server_cancels():
    def behavior(request, context):
        context.cancel()
        return request

    def stream(request, context):
        yield request
        context.cancel()

    with Sync("uu", behavior) as s:
        seen = [attempt(lambda: s.method(b"a"))[2:4]]
    with Sync("us", stream) as s:
        return [*seen, attempt(lambda: list(s.method(b"a")))[2:4]]


@case
def cancelled_while_it_waits_for_a_message():
    with Sync("ss", bidi) as s:
        hold = threading.Event()

        def requests():
            yield b"a"
            hold.wait(30)

        call = s.method(requests())
        seen = [next(call).decode()]
        threading.Timer(0.1, call.cancel).start()
        seen += [attempt(lambda: next(call))[2:4], call.cancelled(), str(call.code()), call.details()]
        hold.set()
        return seen


@case
def requests_stop_when_cancelled():
    """The application's iterator is not taken from after the call is over."""
    taken, more = [], threading.Event()

    def requests():
        for number in range(10):
            taken.append(number)
            yield b"%d" % number
            if number == 1:
                more.wait(30)

    with Sync("ss", bidi) as s:
        call = s.method(requests())
        seen = [next(call).decode(), next(call).decode()]
        call.cancel()
        more.set()
        call.code()
    return [seen, len(taken) <= 3]


@case
def cancelled_in_every_moment():
    with Sync("ss", bidi) as s:
        seen = []
        for before in (0, 1, 2):
            call = s.method(iter([b"a", b"b"]))
            got = [next(call).decode() for _ in range(before == 1)]
            if before == 2:
                got += [m.decode() for m in call]
            seen.append([got, call.cancel(), str(call.code()), call.details(), call.cancel(), call.is_active()])
        return seen


@case
def cancel_from_a_callback():
    with Sync("ss", bidi) as s:
        call = s.method(iter([b"a"]))
        over = threading.Event()
        seen = []
        call.add_done_callback(lambda this: (seen.append([this is call, this.cancel()]), over.set()))
        seen.append([m.decode() for m in call])
        over.wait(30)
        return sorted(map(str, seen))


@case
def channel_closed_under_calls():
    begun, over = threading.Event(), threading.Event()

    def behavior(request, context):
        begun.set()
        over.wait(30)
        return request

    with Sync("uu", behavior) as s:
        future = s.method.future(b"a")
        begun.wait(30)
        s.channel.close()
        seen = [attempt(future.result)[:1], str(future.code()), future.details(), future.cancelled()]
        over.set()
        return [seen, attempt(lambda: s.method.future(b"a")), attempt(lambda: s.method.with_call(b"a"))]


@case
def one_future_cancelled_among_many():
    over = threading.Event()
    with Sync("uu", until(over), pool=8) as s:
        futures = [s.method.future(b"%d" % number) for number in range(6)]
        seen = [futures[3].cancel(), futures[3].cancelled()]
        over.set()
        return [seen, [one.result().decode() for number, one in enumerate(futures) if number != 3]]


@case
def interrupted_while_blocking():
    """A signal's exception goes through a blocking call as it does without us, and cancels it."""
    import signal

    gone = threading.Event()

    def behavior(request, context):
        context.add_callback(gone.set)
        threading.Timer(0.1, lambda: signal.raise_signal(signal.SIGUSR1)).start()
        gone.wait(30)
        return request

    class Mine(BaseException):
        pass

    def handle(*_):
        raise Mine

    signal.signal(signal.SIGUSR1, handle)
    with Sync("uu", behavior) as s:
        try:
            s.method(b"a")
        except BaseException as error:  # noqa: BLE001 - what it is, is the question
            return [type(error).__qualname__, gone.wait(30), s.method is not None]
    return "not interrupted"
