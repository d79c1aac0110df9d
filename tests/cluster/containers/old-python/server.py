"""Answer every GET on port 8080 with what this interpreter is and has loaded; runs on Python 2.7 and later."""
# Annotations are no syntax of 2.7.
# mypy: ignore-errors

import json
import sys
import threading

try:
    from http.server import BaseHTTPRequestHandler, HTTPServer
except ImportError:
    from BaseHTTPServer import BaseHTTPRequestHandler, HTTPServer  # Python 2


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802 - the name that the base class calls
        state = {
            "version": sys.version.split()[0],
            "path": sys.path,
            "ours": sorted(name for name in sys.modules if "grpctracing" in name),
            "threads": threading.active_count(),
        }
        body = json.dumps(state).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


HTTPServer(("", 8080), Handler).serve_forever()
