"""Injection: from a Deployment and a GrpcTracing to one patch, and back again.

Read in this order: `select` (which object), `containers` (which containers), `environment` (what they would get), `ledger`
(what is ours already), `plan` (the environment minus what the user set), `patch` (the difference), `decide` (whether, and
what to say); `policy` writes the same down for the API server, and `admitted` says what that means for a Deployment. The preflight's part:
`probing` (the pod), `findings` (what it reports), `fitness` (what that means for a container), `preflight` (and for a
decision), `records` (how it is kept). Everything here is a pure function.
"""

from grpctracing.injection.bootstrap import bootstrap_config_map, settings_json
from grpctracing.injection.decide import Seen, decide
from grpctracing.injection.patch import build
from grpctracing.injection.plan import Plan, plan
from grpctracing.injection.policy import policies
from grpctracing.injection.records import records_config_map
from grpctracing.injection.verdict import Action, Reason, State, Verdict

__all__ = [
    "Action",
    "Plan",
    "Reason",
    "Seen",
    "State",
    "Verdict",
    "bootstrap_config_map",
    "build",
    "decide",
    "plan",
    "policies",
    "records_config_map",
    "settings_json",
]
