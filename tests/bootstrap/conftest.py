"""Fixtures of the bootstrap's tests."""

import pytest

from tests.bootstrap.receiver import Receiver


@pytest.fixture(scope="session")
def _receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def receiver(_receiver):
    """An empty OTLP receiver."""
    _receiver.clear()
    return _receiver
