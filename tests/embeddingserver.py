"""A server with OpenAI's interface for embeddings, in a thread of the tests."""

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@contextmanager
def serving(embed, models=("served",)):
    """Yield the address of a server that answers with ``embed(texts)``, and a list of the requests that it got."""
    requests = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self._answer({"data": [{"id": name} for name in models]})

        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            requests.append({"path": self.path, "authorization": self.headers["Authorization"], **asked})
            rows = [[float(value) for value in row] for row in embed(asked["input"])]
            data = [{"index": place, "embedding": row} for place, row in enumerate(rows)]
            self._answer({"data": list(reversed(data)), "model": asked["model"]})

        def _answer(self, content):
            sent = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        server.shutdown()
        server.server_close()
