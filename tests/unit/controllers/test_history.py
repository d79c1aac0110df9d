"""How often a patch of ours was undone, and since when a rollout stands still, or is over."""

from __future__ import annotations

import pytest

from grpctracing.controllers.history import History
from tests.unit.controllers.lives import DB, PATCH, A, B, deployment, stateful_set

LATER = {"metadata": {"resourceVersion": "2"}, "spec": PATCH["spec"]}
OTHER = {"metadata": {}, "spec": {"template": {"spec": {"containers": [{"name": "worker"}]}}}}


class TestHistory:
    def test_the_first_patch_undoes_nothing(self):
        assert History().undone(A, PATCH, 0) == 0

    def test_the_same_patch_again_means_that_it_was_undone(self):
        history = History()
        for now in (0, 10, 20):
            history.wrote(A, PATCH, now)
        assert history.undone(A, LATER, 30) == 3, "the version it was made for does not matter"

    def test_a_different_patch_is_no_fight(self):
        history = History()
        history.wrote(A, PATCH, 0)
        assert history.undone(A, OTHER, 1) == 0
        assert history.undone(B, PATCH, 1) == 0

    def test_what_we_took_out_ourselves_was_not_undone(self):
        history = History()
        for now in range(5):
            history.wrote(A, PATCH, now)
            history.reverted(A)
        assert history.undone(A, PATCH, 6) == 0

    @pytest.mark.parametrize(
        ("seen", "want"),
        [
            ([("1", 3, 3, 0)], None),  # over before the first look
            ([("1", 3, 2, 0)], None),  # all are new, so it may have been over before the first look
            ([("1", 1, 3, 0)], 0.0),
            ([("1", 1, 3, 0), ("1", 3, 2, 10)], 0.0),  # the last one comes up
            ([("1", 1, 3, 0), ("1", 3, 3, 10), ("1", 3, 3, 17)], 7.0),
            ([("1", 1, 3, 0), ("1", 3, 3, 10), ("1", 3, 2, 17)], 7.0),  # what befalls a pod later is no rollout
            ([("1", 3, 3, 0), ("2", 0, 3, 5), ("2", 3, 3, 9), ("2", 3, 3, 10)], 1.0),
        ],
    )
    def test_the_end_of_a_rollout_is_watched_where_no_book_tells(self, seen, want):
        history = History()
        for image, updated, available, now in seen:
            said = history.over_for(DB, stateful_set(image, updated=updated, available=available), now)
        assert said == want

    def test_each_pod_that_its_user_replaces_is_a_rollout(self):
        history = History()
        by_hand = {"updateStrategy": {"type": "OnDelete"}}
        assert history.over_for(DB, stateful_set(updated=0, **by_hand), 0) is None
        assert history.over_for(DB, stateful_set(updated=0, available=2, **by_hand), 10) is None, "an old pod is ill"
        assert history.over_for(DB, stateful_set(updated=1, available=2, **by_hand), 20) == 0
        assert history.over_for(DB, stateful_set(updated=1, **by_hand), 30) == 0
        assert history.over_for(DB, stateful_set(updated=1, available=2, **by_hand), 90) == 60

    def test_patches_of_long_ago_are_forgotten(self):
        history = History()
        history.wrote(A, OTHER, 0)
        for now in range(90000, 90100):
            history.wrote(A, PATCH, now)
        assert len(history._written[A]) == 1

    def test_what_was_long_ago_is_no_fight(self):
        history = History()
        history.wrote(A, PATCH, 0)
        history.wrote(A, PATCH, 14401)
        assert history.undone(A, PATCH, 14500) == 1

    def test_a_tool_that_comes_by_once_an_hour_is_a_fight_too(self):
        history = History()
        for hours in range(4):
            history.wrote(A, PATCH, hours * 3600)
        assert history.undone(A, PATCH, 4 * 3600) == 4

    def test_a_new_image_is_a_reason_to_patch_anew(self):
        history = History()
        for release in range(6):
            history.wrote(A, PATCH, release, f"image {release}")
        assert history.undone(A, PATCH, 6, "image 6") == 0

    def test_a_fight_that_was_given_up_stays_so_when_the_hours_have_passed(self):
        history = History()
        for now in range(5):
            history.wrote(A, PATCH, now)
        assert history.undone(A, PATCH, 20000) == 5
        assert history.undone(A, PATCH, 87000) == 0, "after a day it is worth another try"

    def test_what_the_guard_took_out_and_somebody_puts_in_again_is_a_fight(self):
        history = History()
        history.wrote(A, PATCH, 0)
        for now in (10, 20, 30):
            history.took_back(A, OTHER, now)
        assert history.undone(A, OTHER, 40) == 3
        assert history.undone(A, PATCH, 40) == 0, "the next try is nobody's fault"

    def test_a_slow_rollout_is_not_stuck_and_a_flapping_pod_no_progress(self):
        history = History()
        for now, available in ((0, 0), (100, 1), (200, 0), (250, 1)):
            still = history.failed_since(A, deployment(complete=False, availableReplicas=available), now)
            assert still == (0 if now <= 100 else now - 100)
        newer = deployment(image="2", complete=False, availableReplicas=0)
        assert history.failed_since(A, newer, 300) == 0, "another template has its own time"

    def test_a_paused_rollout_does_not_age(self):
        history = History()
        history.wrote(A, PATCH, 0)
        paused = deployment(complete=False)
        paused["spec"]["paused"] = True
        assert history.failed_since(A, paused, 3600) == 0
        assert history.failed_since(A, deployment(complete=False), 3610) == 10

    def test_health_is_timed_from_when_it_was_first_seen(self):
        history = History()
        for now, complete, healthy_for in ((0, True, 0), (7, True, 7), (8, False, 0), (9, True, 0), (12, True, 3)):
            history.failed_since(A, deployment(complete=complete), now)
            assert history.healthy_for(A, now) == healthy_for

    def test_an_incomplete_rollout_is_timed_from_our_patch(self):
        history = History()
        assert history.failed_since(A, deployment(complete=False), 100) == 0
        assert history.failed_since(A, deployment(complete=False), 130) == 30
        history.wrote(A, PATCH, 140)
        assert history.failed_since(A, deployment(complete=False), 150) == 10
        assert history.failed_since(A, deployment(), 160) == 0
        assert history.failed_since(A, deployment(complete=False), 200) == 0, (
            "the next trouble counts from its own start"
        )
