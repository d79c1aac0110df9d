"""After the cluster: the machine is as before."""

import pytest

from tests.cluster import difference, snapshot


@pytest.mark.exclusive
@pytest.mark.timeout(300, func_only=True)
def test_after_down_the_machine_is_as_it_was_before_the_cluster(machine, production):
    machine.cluster.down()
    assert difference(machine.before, snapshot()) == []
