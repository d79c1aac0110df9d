"""For all tests."""

import signal

from hypothesis import HealthCheck, settings

# Machines are shared: how fast examples come says nothing about what is tested.
settings.register_profile("grpctracing", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("grpctracing")

# A test run in the background, or under nohup, ignores these, and so would every process that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGHUP, signal.SIGTERM):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)
