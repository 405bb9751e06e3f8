"""A registry in memory: as much of the distribution specification as its clients use."""

import json
import re
import secrets
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from llm_pipeline.cd.oci import digest_of
from tests.llm_pipeline.cd.front import Ask, Reply, error

INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass
class Memory:
    """Blobs, manifests and tags of all repositories together, which is enough for one."""

    lists_referrers: bool = True
    page: int = 1000
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)

    def answer(self, ask: Ask) -> Reply:  # noqa: PLR0911 - one for each kind of request
        """Do what is asked."""
        parts = ask.parts
        if parts == ["v2"]:
            return 200, {}, b"{}"
        if parts[-2:] == ["tags", "list"]:
            return self.list_tags(ask)
        if "uploads" in parts:
            return self.upload(ask)
        kind, name = parts[-2:]
        if kind == "manifests":
            return self.put_manifest(ask, name) if ask.method == "PUT" else self.manifest(name)
        if kind == "referrers" and self.lists_referrers:
            return self.referrers(name)
        if kind == "blobs":
            if name not in self.blobs:
                return error(404, "BLOB_UNKNOWN", "blob unknown to registry")
            return self.found(name, "application/octet-stream", self.blobs[name])
        return 404, {"Content-Type": "text/plain"}, b"404 page not found\n"

    def found(self, digest: str, kind: str, data: bytes) -> Reply:
        """Something that is there."""
        headers = {"Docker-Content-Digest": digest, "Content-Type": kind}
        return 200, {**headers, "Content-Length": str(len(data))}, data

    def manifest(self, name: str) -> Reply:
        """Return a manifest by tag or digest."""
        digest = self.tags.get(name, name)
        if digest not in self.manifests:
            return error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        return self.found(digest, *self.manifests[digest])

    def put_manifest(self, ask: Ask, name: str) -> Reply:
        """Store a manifest, if what it names is there."""
        digest = digest_of(ask.body)
        content = json.loads(ask.body)
        wanted = [content[key] for key in ("config",) if key in content]
        wanted += content.get("layers", [])
        there = {**self.blobs, **self.manifests}
        if any(each["digest"] not in self.blobs for each in wanted) or any(
            each["digest"] not in there for each in content.get("manifests", [])
        ):
            return error(404, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry")
        self.manifests[digest] = (ask.headers["content-type"], ask.body)
        if ":" not in name:
            self.tags[name] = digest
        headers = {"Docker-Content-Digest": digest, "Location": ask.path}
        if "subject" in content and self.lists_referrers:
            headers["OCI-Subject"] = content["subject"]["digest"]
        return 201, headers, b""

    def referrers(self, digest: str) -> Reply:
        """List what refers to a digest."""
        found = []
        for key, (kind, data) in list(self.manifests.items()):
            content = json.loads(data)
            if content.get("subject", {}).get("digest") == digest:
                entry = {"mediaType": kind, "digest": key, "size": len(data)}
                entry["artifactType"] = content.get("artifactType")
                entry["annotations"] = content.get("annotations", {})
                found.append(entry)
        body = {"schemaVersion": 2, "mediaType": INDEX, "manifests": found}
        return 200, {"Content-Type": INDEX}, json.dumps(body).encode()

    def list_tags(self, ask: Ask) -> Reply:
        """List the tags, in pages."""
        if not self.manifests:
            return error(404, "NAME_UNKNOWN", "repository name not known to registry")
        last = parse_qs(urlsplit(ask.path).query).get("last", [""])[0]
        left = [tag for tag in sorted(self.tags) if tag > last]
        headers = {"Content-Type": "application/json"}
        if len(left) > self.page:
            path = urlsplit(ask.path).path
            headers["Link"] = f'<{path}?n={self.page}&last={left[self.page - 1]}>; rel="next"'
        body = {"name": "team/twin", "tags": left[: self.page]}
        return 200, headers, json.dumps(body).encode()

    def upload(self, ask: Ask) -> Reply:
        """Take a blob, whole or in chunks."""
        base = urlsplit(ask.path).path
        if ask.method == "POST":
            self.uploads[name := secrets.token_hex(8)] = b""
            return 202, {"Location": f"{base.rstrip('/')}/{name}?state=1"}, b""
        name = ask.parts[-1]
        if name not in self.uploads:
            return error(404, "BLOB_UPLOAD_UNKNOWN", "upload unknown")
        if ask.method == "PATCH":
            begin = re.match(r"(\d+)-", ask.headers.get("content-range", "0-"))
            if begin is None or int(begin[1]) != len(self.uploads[name]):
                return error(416, "RANGE_INVALID", "range invalid")
        self.uploads[name] += ask.body
        if ask.method == "PUT":
            digest = parse_qs(urlsplit(ask.path).query)["digest"][0]
            data = self.uploads.pop(name)
            if digest_of(data) != digest:
                return error(400, "DIGEST_INVALID", "provided digest did not match the content")
            self.blobs[digest] = data
            return 201, {"Docker-Content-Digest": digest, "Location": base}, b""
        span = f"0-{max(len(self.uploads[name]) - 1, 0)}"
        code = 202 if ask.method == "PATCH" else 204
        return code, {"Location": f"{base}?state=1", "Range": span}, b""
