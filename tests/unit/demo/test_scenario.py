import pytest

from examples.demo.scenario import FILES, SERVICES, containers, injected, manifests, settled
from examples.demo.wait import NotInTimeError, eventually


def deployment(*, generation=2, observed=2, replicas=3, updated=3, available=3, total=3):
    return {
        "metadata": {"generation": generation},
        "spec": {"replicas": replicas},
        "status": {
            "observedGeneration": observed,
            "replicas": total,
            "updatedReplicas": updated,
            "availableReplicas": available,
        },
    }


@pytest.mark.parametrize(
    ("given", "want"),
    [
        (deployment(), True),
        (deployment(observed=1), False),
        (deployment(updated=2), False),
        (deployment(available=2), False),
        (deployment(total=4), False),
    ],
    ids=["all new and available", "not observed", "one old pod", "one not available", "an old pod still there"],
)
def test_a_rollout_is_over_when_every_replica_is_new_and_available(given, want):
    assert settled(given) is want


def test_images_come_from_the_registry_that_was_named():
    images = {
        each["image"]
        for found in manifests(*FILES, "jaeger", registry="registry.example/team")
        for each in containers(found)
    }
    assert images
    assert all(image.startswith("registry.example/team/") for image in images)


def test_no_service_of_the_scenario_has_a_word_about_tracing_before_it_is_annotated():
    deployments = [found for found in manifests(*FILES) if found["kind"] == "Deployment"]
    assert {found["metadata"]["name"] for found in deployments} == set(SERVICES)
    assert not any(injected(found) for found in deployments)
    assert not any("OTEL_" in str(found) for found in deployments)


def test_every_container_of_the_scenario_keeps_the_restricted_pod_security_standard():
    for found in manifests(*FILES, "jaeger"):
        for container in containers(found):
            context = container["securityContext"]
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert found["spec"]["template"]["spec"]["securityContext"]["runAsNonRoot"] is True


def test_waiting_ends_with_the_first_true_answer():
    answers = iter([None, 0, "yes"])
    assert eventually(lambda: next(answers), within=5, what="yes", every=0) == "yes"


def test_waiting_in_vain_tells_what_for_and_what_was_seen_last():
    with pytest.raises(NotInTimeError, match="pods ready; last seen: 2 of 3; image missing"):
        eventually(
            lambda: (_ for _ in ()).throw(AssertionError("2 of 3")),
            within=0,
            what="pods ready",
            tell=lambda: "image missing",
        )
