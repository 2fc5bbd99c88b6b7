"""A hub on 127.0.0.1 that speaks what huggingface_hub asks for: revision info, tree, files with ranges, and uploads."""

import base64
import hashlib
import json
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import unquote, urlsplit

from huggingface_hub.utils.sha import git_hash

COMMIT = "c" * 40


class FakeHub:
    """Repositories as dictionaries of path to bytes, by kind and name; one commit each, on branch ``main``.

    ``wrong`` holds paths that are served with other bytes than stated, ``cut`` how often a file's
    connection breaks halfway; ``gated`` names repositories whose files need a token. ``served``
    counts GET requests of files, ``ranges`` lists those that asked for a part.

    ``writers`` says which owners' repositories a token may write to, ``private`` names the repositories that are
    private, and ``commits`` lists the uploads, repository and message of each.
    """

    def __init__(self):
        self.repositories, self.wrong, self.cut, self.gated = {}, set(), Counter(), set()
        self.served, self.ranges = Counter(), []
        self.writers, self.private, self.commits, self.large = {}, set(), [], {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        api = parts[0] == "api"
        parts = parts[1:] if api else parts
        kind = "dataset" if parts[0] == "datasets" else "model"
        parts = parts[1:] if parts[0] in ("datasets", "models") else parts
        name, parts = "/".join(parts[:2]), parts[2:]
        files = self.hub.repositories.get((kind, name))
        if files is None:
            return self.fail(404, "RepoNotFound")
        revision = parts[1] if len(parts) > 1 else "main"
        if revision not in ("main", COMMIT):
            return self.fail(404, "RevisionNotFound")
        if not api:
            return self.file(name, "/".join(parts[2:]), files)
        if parts[:1] == ["tree"]:
            return self.answer(
                [{"type": "file", "path": p, "oid": git_hash(c), **_lfs(p, c)} for p, c in files.items()]
            )
        siblings = [{"rfilename": p, "blobId": git_hash(c), **_lfs(p, c)} for p, c in files.items()]
        return self.answer(
            {"id": name, "sha": COMMIT, "siblings": siblings, "tags": [], "private": name in self.hub.private}
        )

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        if parts == ["api", "validate-yaml"]:
            return self.answer({"errors": [], "warnings": []})
        if parts == ["api", "repos", "create"]:
            return self.create(**json.loads(body))
        name = "/".join(parts[2:4] if parts[0] == "api" else parts[:2]).removesuffix(".git")
        if (refused := self.refused(name)) is not None:
            return self.fail(*refused)
        if parts[-3:] == ["lfs", "objects", "batch"]:
            return self.answer({"objects": [self.place(one) for one in json.loads(body)["objects"]]})
        if parts[4] == "preupload":
            return self.answer({"files": [self.mode(file["path"]) for file in json.loads(body)["files"]]})
        return self.commit(name, [json.loads(line) for line in body.splitlines()])

    def do_PUT(self):
        self.hub.large[self.path.rpartition("/")[2]] = self.rfile.read(int(self.headers["Content-Length"]))
        return self.answer({})

    def refused(self, name):
        """Why the request's token may not write there; None: it may."""
        owners = self.hub.writers.get((self.headers["Authorization"] or "").removeprefix("Bearer "))
        if owners is None:
            return 401, "Invalid username or password."
        return None if name.split("/")[0] in owners else (403, "Forbidden")

    def create(self, name, organization=None, visibility="public", **_):
        name = f"{organization}/{name}"
        if (refused := self.refused(name)) is not None:
            return self.fail(*refused)
        if ("model", name) in self.hub.repositories:
            return self.answer({"error": "exists", "url": f"{self.hub.url}/{name}"}, 409)
        self.hub.repositories["model", name] = {}
        self.hub.private |= {name} if visibility == "private" else set()
        return self.answer({"url": f"{self.hub.url}/{name}"})

    def place(self, one):
        return {**one, "actions": {"upload": {"href": f"{self.hub.url}/large/{one['oid']}"}}}

    def mode(self, path):
        return {"path": path, "uploadMode": "regular" if _in_git(path) else "lfs", "shouldIgnore": False}

    def commit(self, name, lines):
        files = self.hub.repositories["model", name]
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
        self.hub.commits.append((name, lines[0]["value"]["summary"]))
        return self.answer({"commitUrl": f"{self.hub.url}/{name}/commit/{COMMIT}", "commitOid": COMMIT})

    def file(self, name, path, files):
        if name in self.hub.gated:
            return self.fail(401, "GatedRepo")
        if path not in files:
            return self.fail(404, "EntryNotFound")
        content = files[path]
        etag = hashlib.sha256(content).hexdigest()
        body = bytes(len(content)) if path in self.hub.wrong else content
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
        if self.command == "GET":
            self.hub.served[path] += 1
            if start:
                self.hub.ranges.append((path, start))
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        for key, value in (("ETag", f'"{etag}"'), ("X-Repo-Commit", COMMIT), ("Content-Length", len(body) - start)):
            self.send_header(key, str(value))
        self.end_headers()
        if self.command != "GET":
            return None
        if self.hub.cut[path] > 0:
            self.hub.cut[path] -= 1
            self.wfile.write(body[start : start + (len(body) - start) // 2])
            self.wfile.flush()
            self.close_connection = True
            return self.connection.shutdown(2)
        return self.wfile.write(body[start:])

    def fail(self, status, code):
        return self.answer({"error": code}, status, {"X-Error-Code": code, "X-Error-Message": code})

    def answer(self, value, status=200, headers=None):
        body = json.dumps(value).encode()
        self.send_response(status)
        for key, text in {"Content-Type": "application/json", "Content-Length": len(body), **(headers or {})}.items():
            self.send_header(key, str(text))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _lfs(path, content):
    """Size and, of all but `.json` and `.md`, which are in git itself, what LFS states."""
    size, sha256 = len(content), hashlib.sha256(content).hexdigest()
    return {"size": size} | (
        {} if _in_git(path) else {"lfs": {"oid": sha256, "sha256": sha256, "size": size, "pointerSize": 130}}
    )


def _in_git(path):
    return path.endswith((".json", ".md"))
