"""New Relic in its developer mode (nothing leaves the process), initialized as argv says: before, after, under newrelic-admin, or imported and no more."""

import json
import re
import sys


def main(how):
    if how != "after":
        import newrelic.agent
    if how == "before":
        newrelic.agent.initialize()
    import echo

    if how == "after":
        echo.first()
        import newrelic.agent

        newrelic.agent.initialize()
    from newrelic.core.agent import agent_instance

    application = newrelic.agent.register_application(timeout=10)
    with newrelic.agent.BackgroundTask(application, "root"):
        seen = echo.run()
    core = agent_instance().application(application.name)
    theirs = {}
    for (name, scope), found in core._stats_engine.stats_table.items() if core is not None else ():
        if "grpc" in name.lower() or "echo" in name:
            theirs[re.sub(r":\d+", ":port", name) + (f" below {scope}" if scope else "")] = getattr(
                found, "call_count", 1
            )
    print(json.dumps({"app": seen, "theirs": theirs}, sort_keys=True))


main(sys.argv[1])
