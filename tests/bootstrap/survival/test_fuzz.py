"""Every place where the payload reads what others wrote, against whatever hypothesis thinks of. `scripts/fuzz.py` does the same for longer, by coverage."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bootstrap.survival.targets import TARGETS

WORDS = (
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-d",
    "a=b,c@d=e",
    "x=1;p,y=%20",
    '"sampler":{"type":"always_on","argument":"0.5"}',
    '"keep":{"errors":true,"slowerThan":1e999}',
    '"rules":[{"service":"*","method":"a*","ratio":0.1}]',
    "https://[::1]:4317/a",
    "http/protobuf",
    "-1",
    "1" * 5000,
    "é\udcff",
)
PIECES = st.one_of(
    st.binary(max_size=30),
    st.sampled_from([word.encode("utf-8", "surrogateescape") for word in WORDS]),
    st.sampled_from([b"\n", b"=", b",", b";", b"-", b'"', b"%", *(bytes([number]) for number in range(32))]),
)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.__name__)
@settings(max_examples=100, deadline=None, database=None)
@given(data=st.lists(PIECES, max_size=12).map(b"".join))
def test_nothing_of_strangers_does_harm(target, data):
    target(data)
