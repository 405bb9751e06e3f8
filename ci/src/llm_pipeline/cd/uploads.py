"""Storing blobs: whole, or in chunks that go on where a broken connection left off."""

import re
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from llm_pipeline.cd import oci
from llm_pipeline.cd.exchange import Answer, Request
from llm_pipeline.cd.oci import Descriptor
from llm_pipeline.cd.transport import Transport
from llm_pipeline.errors import LookError, RegistryError

CHUNK: Final = 8 * 1024 * 1024  # at least 5 MiB, or ECR refuses all but the last
_RESUMES: Final = 5
_STARTS: Final = 5
_LOST: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND})
_BINARY: Final = "application/octet-stream"


def put_blob(http: Transport, data: bytes, media_type: str, chunk: int = CHUNK) -> Descriptor:
    """Store a blob, unless it is there, and return its descriptor.

    Args:
        http: The registry.
        data: The blob.
        media_type: What the descriptor says of it.
        chunk: How many bytes are sent at a time.

    Raises:
        RegistryError: The registry can't be reached, refuses or fails.
        LookError: It answers what can't be.
    """
    blob = oci.descriptor(data, media_type)
    doing = f"store the blob {blob.digest}"
    blobs = f"/v2/{http.repository}/blobs"
    if http.send(Request("HEAD", f"{blobs}/{blob.digest}", doing)).status == HTTPStatus.OK:
        return blob
    for _ in range(_STARTS):
        location: str | None
        location = _location(http.ask(Request("POST", f"{blobs}/uploads/", doing)), doing)
        rest = data
        if len(data) > chunk:
            location, rest = _send_chunks(http, location, data, chunk, doing), b""
        if location is not None:
            joint = "&" if "?" in location else "?"
            path = f"{location}{joint}digest={quote(blob.digest, safe='')}"
            http.ask(Request("PUT", path, doing, {"Content-Type": _BINARY}, rest))
            return blob
    raise RegistryError(f"Can't {doing}: the connection broke too often. Run it again.")


def _send_chunks(http: Transport, location: str, data: bytes, chunk: int, doing: str) -> str | None:
    """Send data in chunks and return the location that closes the upload.

    None where it can't go on after a lost answer, because the registry told in that where to.
    """
    begin, resumed = 0, 0
    while begin < len(data):
        part = data[begin : begin + chunk]
        bounds = f"{begin}-{begin + len(part) - 1}"
        headers = {"Content-Type": _BINARY, "Content-Range": bounds}
        try:
            answer = http.ask(Request("PATCH", location, doing, headers, part, again=False))
            begin += len(part)
        except RegistryError as error:
            resumed += 1
            passing = not error.status or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
            # A wrong range is what a registry says that kept a part of what was cut off.
            wrong = error.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            if resumed > _RESUMES or not (passing or wrong):
                raise
            answer = http.send(Request("GET", location, doing))
            if answer.status in _LOST:
                return None
            http.expect(answer, doing)
            arrived = re.fullmatch(r"(?:bytes=)?0-(\d+)", answer.headers.get("range", ""))
            begin = int(arrived[1]) + 1 if arrived and arrived[1] != "0" else 0
        location = _location(answer, doing, location)
    return location


def _location(answer: Answer, doing: str, default: str | None = None) -> str:
    location = answer.headers.get("location", default)
    if location is None:
        raise LookError(f"Can't {doing}: the registry does not say where to send it.")
    return location
