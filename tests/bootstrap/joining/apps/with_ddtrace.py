"""ddtrace, switched on as argv says: WHAT-WHEN."""

import json
import sys


def switch_on(how):
    import ddtrace

    if "auto" in how:
        import ddtrace.auto
    elif "patch" in how:
        ddtrace.patch(grpc=True)


class Keep(list):
    def process_trace(self, trace):
        self.extend(trace)


def main(how):
    if not how.endswith("after"):
        switch_on(how)
    import echo

    if how.endswith("after"):
        echo.first()
        switch_on(how)
    from ddtrace import tracer

    found = Keep()
    try:
        tracer.configure(trace_processors=[found])
    except TypeError:  # before 3.0
        tracer.configure(settings={"FILTERS": [found]})
    seen = echo.run()
    tracer.flush()
    names = {span.span_id: "{} {}".format(span.get_tag("span.kind"), span.resource) for span in found}
    theirs = sorted([names[span.span_id], names.get(span.parent_id, ""), span.error] for span in found)
    print(json.dumps({"app": seen, "theirs": theirs}))


main(sys.argv[1])
