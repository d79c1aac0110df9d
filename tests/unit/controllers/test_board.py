"""The verdicts on all workloads: who rolls out, what a status counts, whose turn it is."""

from __future__ import annotations

from grpctracing.controllers.board import Board
from grpctracing.injection import Action, Reason, State, Verdict
from grpctracing.kube.resources import Key
from tests.unit.controllers.lives import TRACING, A, B, verdict


class TestBoard:
    def board(self):
        changed = []
        return Board(changed.append), changed

    def test_a_new_verdict_is_told_and_the_same_again_is_not(self):
        board, changed = self.board()
        assert board.report(A, verdict()) is None
        assert board.report(A, verdict()) == verdict()
        assert changed == [TRACING]

    def test_workloads_that_share_a_name_are_counted_each(self):
        board, _ = self.board()
        named = {Key("production", "a", kind): State.PROGRESSING for kind in ("", "StatefulSet", "DaemonSet")}
        for key, state in named.items():
            board.report(key, Verdict(Action.NOTHING, state, Reason.ROLLING_OUT, tracing="default"))
        assert board.workloads(TRACING).keys() == {"a", "StatefulSet/a", "DaemonSet/a"}
        assert board.progressing(TRACING, A) == 2, "spec.rollout.maxConcurrent is for all kinds together"
        board.forget(A)
        assert board.workloads(TRACING).keys() == {"StatefulSet/a", "DaemonSet/a"}

    def test_a_workload_moves_from_one_object_to_the_other(self):
        board, changed = self.board()
        board.report(A, verdict())
        board.report(A, Verdict(Action.NOTHING, State.INJECTED, Reason.NO_SPANS_YET, tracing="other"))
        assert board.workloads(TRACING) == {}
        assert set(board.workloads(Key("production", "other"))) == {"a"}
        assert set(changed) == {TRACING, Key("production", "other")}

    def test_the_one_that_stands_back_says_for_whom(self):
        board, _ = self.board()
        board.report(A, verdict(others=("second",)))
        told = board.workloads(Key("production", "second"))["a"]
        assert told.state is State.SKIPPED
        assert '"default"' in told.message

    def test_rolling_out_is_counted_without_oneself(self):
        board, _ = self.board()
        board.report(A, verdict(State.PROGRESSING))
        board.report(B, verdict(State.PROGRESSING))
        assert board.progressing(TRACING, A) == 1
        board.report(A, verdict())
        assert board.progressing(TRACING, B) == 0
        board.report(A, verdict(State.PROGRESSING))
        board.forget(B)
        assert board.progressing(TRACING, A) == 0

    def test_an_image_is_judged_by_the_others_that_have_it(self):
        board, _ = self.board()
        board.report(A, verdict(State.PROGRESSING, image="x"))
        assert board.trying("x", B)
        assert not board.trying("x", A), "nobody waits for itself"
        assert not board.trying("x", Key("staging", "a")), "nor for another namespace"
        board.report(A, verdict(image="x", proved=True))
        assert (board.trying("x", B), board.proved("x")) == (False, True)
        board.report(A, verdict(image="y", proved=True))
        assert (board.proved("x"), board.proved("y")) == (False, True)
        board.forget(A)
        assert not board.proved("y")

    def test_what_is_not_selected_is_in_nobodys_status(self):
        board, changed = self.board()
        board.report(A, Verdict(Action.NOTHING, State.SKIPPED, Reason.NOT_SELECTED))
        assert changed == []

    def test_a_namespace_is_surveyed_when_each_has_been_looked_at_and_stays_so(self):
        board, _ = self.board()
        board.report(A, verdict())
        assert not board.surveyed("production", [A, B])
        board.report(B, verdict())
        assert board.surveyed("production", [A, B])
        assert board.surveyed("production", [A, B, Key("production", "new")])

    def test_one_that_is_deleted_before_it_was_looked_at_does_not_hold_up_its_namespace(self):
        board, _ = self.board()
        board.report(A, verdict())
        assert not board.surveyed("production", [A, B])
        board.forget(B)
        assert board.surveyed("production", [A])

    def test_one_that_no_verdict_can_be_had_on_does_not_hold_up_its_namespace(self):
        board = Board(changed=lambda _: None)
        board.report(A, verdict())
        board.stumbled(B)
        assert board.surveyed("production", [A, B])
