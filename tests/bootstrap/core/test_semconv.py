"""Targets of channels and peers of servers as addresses and ports (semantic conventions, docs/rpc/grpc.md)."""

import pytest
from _grpctracing import semconv
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("grpc.io:50051", ("grpc.io", 50051)),
        ("localhost", ("localhost", 0)),
        ("localhost:http", ("localhost", 0)),
        ("10.0.0.1:80", ("10.0.0.1", 80)),
        ("[::1]:80", ("::1", 80)),
        ("[::1]", ("::1", 0)),
        ("::1", ("::1", 0)),
        ("dns:grpc.io", ("grpc.io", 0)),
        ("dns:grpc.io:50051", ("grpc.io", 50051)),
        ("dns:///grpc.io:50051", ("grpc.io", 50051)),
        ("dns:///[::1]:50051", ("::1", 50051)),
        ("dns://1.2.3.4/grpc.io:50051", ("grpc.io", 50051)),
        ("ipv4:1.2.3.4:5", ("1.2.3.4", 5)),
        ("ipv4:1.2.3.4:5,1.2.3.5:6", ("ipv4:1.2.3.4:5,1.2.3.5:6", 0)),
        ("ipv6:[::1]:5", ("::1", 5)),
        ("ipv6:[::1]:5,[::2]:6", ("ipv6:[::1]:5,[::2]:6", 0)),
        ("unix:/run/s.sock", ("/run/s.sock", 0)),
        ("unix:///run/s.sock", ("/run/s.sock", 0)),
        ("unix:s.sock", ("s.sock", 0)),
        ("unix-abstract:name", ("name", 0)),
        ("xds:///payment", ("xds:///payment", 0)),
        ("zk://a.example:2181/payment", ("zk://a.example:2181/payment", 0)),
        ("vsock:2:1234", ("vsock:2:1234", 0)),
    ],
)
def test_server_address_and_port_come_from_the_channels_target(target, expected):
    assert semconv.server_of(target) == expected


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("ipv4:10.0.0.7:4711", ("10.0.0.7", 4711)),
        ("ipv6:[::1]:4711", ("::1", 4711)),
        ("ipv6:%5B::1%5D:4711", ("::1", 4711)),
        ("ipv6:%5Bfe80::1%25eth0%5D:4711", ("fe80::1%eth0", 4711)),
        ("unix:/run/s.sock", ("/run/s.sock", 0)),
        ("unix:", ("", 0)),
        ("unknown", ("unknown", 0)),
    ],
)
def test_network_peer_address_and_port_come_from_the_servers_peer(peer, expected):
    assert semconv.peer_of(peer) == expected


SCHEMES = st.sampled_from(["", "dns:", "dns:///", "ipv4:", "ipv6:", "unix:", "unix:///", "xds:///"])


@given(SCHEMES, st.text(max_size=12) | st.text(":[]/,.%0123²٣", max_size=12))
def test_any_target_and_peer_is_some_address(scheme, rest):
    for read in (semconv.server_of, semconv.peer_of):
        address, port = read(scheme + rest)
        assert isinstance(address, str)
        assert port >= 0
