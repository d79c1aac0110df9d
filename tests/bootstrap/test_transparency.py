"""Whatever an application does with grpc, it sees the same with the payload as without."""

import sys

import pytest

from tests.bootstrap import interpreters
from tests.bootstrap.transparency import CASES, suite

pytestmark = pytest.mark.timeout(900)  # the first test of each version runs all cases

THIS = "{}.{}".format(*sys.version_info)
# Of the oldest grpcio on the oldest interpreter, what differs most between versions; `make matrix` runs all cases on all versions.
OLDEST = [
    name
    for name, case in CASES.items()
    if case.__module__.rpartition(".")[2] in {"client_calls", "aio", "server_sync", "metadata_more"}
]
# Of grpc's public interface alone, the same and what is known to differ.
PUBLIC = [name for name in CASES if name in suite.DIFFERENT or name in OLDEST]


def results(request, test, python, grpcio, receiver, path="internal"):
    """Return what every case of *test* that was asked for gave, in both variants; run at once."""
    names = [item.callspec.params["name"] for item in request.session.items if item.originalname == test]
    environment = interpreters.environment(interpreters.needed(python), *suite.requirements(grpcio))
    return suite.run(environment, names, receiver.endpoint, (path,))[path]


@pytest.fixture(scope="module")
def newest(request, _receiver):
    return results(request, "test_no_difference", THIS, "1.85.1", _receiver)


@pytest.fixture(scope="module")
def oldest(request, _receiver):
    return results(request, "test_no_difference_on_the_oldest", "3.8", "1.48.2", _receiver)


@pytest.fixture(scope="module")
def public(request, _receiver):
    return results(request, "test_no_other_difference_on_the_public_path", THIS, "1.85.1", _receiver, "public")


def ran(plain):
    assert plain.code == 0, plain.err
    assert not suite.missing(plain)


def same(plain, ours):
    ran(plain)
    assert ours == plain


@pytest.mark.parametrize("name", CASES)
def test_no_difference(name, newest):
    same(*newest[name])


@pytest.mark.parametrize("name", OLDEST)
def test_no_difference_on_the_oldest(name, oldest):
    same(*oldest[name])


@pytest.mark.parametrize("name", PUBLIC)
def test_no_other_difference_on_the_public_path(name, public):
    plain, ours = public[name]
    ran(plain)
    if name in suite.DIFFERENT:
        assert suite.as_documented(name, plain, ours, "public"), (plain, ours)
    else:
        assert ours == plain


def test_what_differs_on_the_public_path_is_a_case():
    assert set(CASES) >= suite.DIFFERENT


def test_there_are_enough_cases():
    assert len(CASES) >= 150
