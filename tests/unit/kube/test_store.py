"""A store says the same whether it keeps objects as they are or packed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpctracing.kube.resources import Key
from grpctracing.kube.store import Store, pack, unpack

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.fixture(params=[False, True], ids=["as it is", "packed"])
def store(request):
    return Store(lambda obj: {**obj, "projected": True}, packed=lambda _: request.param)


def stateful_set(name, version, uid="1"):
    metadata = {"namespace": "shop", "name": name, "resourceVersion": str(version), "uid": uid}
    return {"kind": "StatefulSet", "metadata": metadata, "spec": {"replicas": 2}}


@given(st.dictionaries(st.text(), JSON))
def test_what_is_packed_comes_out_as_it_went_in(obj):
    assert unpack(pack(obj)) == obj


def test_it_gives_what_was_put_and_the_newest_of_it(store):
    key = Key("shop", "db", "StatefulSet")
    assert store.put(stateful_set("db", 5))
    assert not store.put(stateful_set("db", 4))
    assert store.get(key) == stateful_set("db", 5) | {"projected": True}
    assert store.get(Key("shop", "db")) == store.get(key)
    assert store.in_namespace("shop") == [store.get(key)]
    assert list(store) == [key]
    assert len(store) == 1


def test_what_is_packed_can_be_told_from_what_is_not():
    store = Store(packed=lambda obj: obj["metadata"]["name"] == "db")
    store.put(stateful_set("db", 5))
    store.put(stateful_set("cache", 6))
    assert store.packed_in("shop") == [Key("shop", "db", "StatefulSet")]
    assert store.whole_in("shop") == [stateful_set("cache", 6)]
    assert store.in_namespace("shop") == [stateful_set("db", 5), stateful_set("cache", 6)]


def test_listeners_hear_before_and_after(store):
    heard = []
    store.listen(lambda key, before, after: heard.append((key.name, version(before), version(after))))
    store.put(stateful_set("db", 5))
    store.put(stateful_set("db", 7))
    store.put(stateful_set("db", 6, uid="2"))
    store.keep_only("shop", set())
    store.put(stateful_set("cache", 9))
    store.announce(Key("shop", "cache"))
    store.remove(Key("shop", "cache"), stateful_set("cache", 9, uid="another"))
    store.remove(Key("shop", "cache"), stateful_set("cache", 10))
    assert heard == [
        ("db", None, 5),
        ("db", 5, 7),
        ("db", 7, 6),
        ("db", 6, None),
        ("cache", None, 9),
        ("cache", 9, 9),
        ("cache", 9, None),
    ]
    assert not list(store)


def test_what_is_dropped_is_not_said_to_be_gone(store):
    heard = []
    store.put(stateful_set("db", 5))
    store.listen(lambda *news: heard.append(news))
    store.drop("shop")
    assert not list(store)
    assert not heard


def version(obj):
    return None if obj is None else int(obj["metadata"]["resourceVersion"])
