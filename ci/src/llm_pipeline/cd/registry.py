"""A repository of images in a registry (OCI distribution specification 1.1).

`oras` for Python, the one client library there is, knows neither referrers nor tags that can't be
moved, and tells errors as bare status codes; so this speaks the few requests itself.
"""

import re
from collections.abc import Iterator
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from llm_pipeline.cd import oci
from llm_pipeline.cd.exchange import LARGEST_ERROR, Answer, Request
from llm_pipeline.cd.oci import Descriptor, Manifest, Stored
from llm_pipeline.cd.transport import Login, Logins, Transport
from llm_pipeline.cd.uploads import CHUNK, put_blob
from llm_pipeline.errors import LookError, TakenError

__all__ = ["Login", "Logins", "Registry"]

_LARGEST_MANIFEST: Final = 4 * 1024 * 1024  # the specification's own limit
_LARGEST_BLOB: Final = 256 * 1024 * 1024
_MOST_PAGES: Final = 200
_REFUSALS: Final = frozenset({400, 403, 405, 409, 412})
_NEXT: Final = re.compile(r'<([^>]+)>\s*;[^,]*rel="?next"?')


_Kind = TypeVar("_Kind", bound=msgspec.Struct)


class _Tags(msgspec.Struct, frozen=True):
    tags: list[str] | None = None


class Registry:
    """One repository of a registry.

    Every method raises `RegistryError` where the registry can't be reached, refuses or fails, and
    `LookError` where it answers what can't be: a digest that does not fit the bytes, for example.

    Args:
        host: The registry's host, with a port where it has one.
        repository: The repository's name, such as ``team/twin``.
        logins: Gives a login when the registry asks for one; called right before it is used.
        insecure: Whether to talk without TLS; to this machine itself that is the default.
        eager: Whether to log in (by name and password) before the registry asks for it.
        attempts: How often a request is sent at most.
        pause: Seconds before the second attempt; they double with each.
        chunk: Bytes of a blob that are sent at a time.
    """

    def __init__(  # noqa: PLR0913 - all but the first three are for special cases
        self,
        host: str,
        repository: str,
        logins: Logins = lambda: None,
        *,
        insecure: bool = False,
        eager: bool = False,
        attempts: int = 5,
        pause: float = 0.5,
        chunk: int = CHUNK,
    ) -> None:
        self._http = Transport(
            host,
            repository,
            logins,
            insecure=insecure,
            eager=eager,
            attempts=attempts,
            pause=pause,
        )
        self.host, self.repository, self._chunk = host, repository, chunk
        self._api = f"/v2/{repository}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connections."""
        self._http.close()

    def name(self, reference: str) -> str:
        """Return the full name of a tag or a digest, as container tools take it."""
        return f"{self.host}/{self.repository}{'@' if ':' in reference else ':'}{reference}"

    def ping(self) -> None:
        """Make sure that there is a registry, and that it takes the login."""
        doing = f"reach the registry {self.host}"
        self._http.ask(Request("GET", "/v2/", doing))

    # Manifests and tags.

    def head(self, reference: str) -> str | None:
        """Return the digest that a tag or a digest names; None where there is none."""
        doing = f"look for {reference}"
        answer = self._http.send(
            Request("HEAD", self._manifest(reference), doing, {"Accept": ", ".join(oci.ACCEPTED)})
        )
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        self._http.expect(answer, doing)
        digest = answer.headers.get("docker-content-digest")
        if digest is None:  # the header is optional
            stored = self.find(reference)
            return None if stored is None else stored.digest
        return digest

    def find(self, reference: str) -> Stored | None:
        """Return the manifest that a tag or a digest names; None where there is none."""
        doing = f"read {reference}"
        answer = self._http.send(
            Request(
                "GET",
                self._manifest(reference),
                doing,
                {"Accept": ", ".join(oci.ACCEPTED)},
                largest=_LARGEST_MANIFEST,
            )
        )
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        self._http.expect(answer, doing)
        told = answer.headers.get("docker-content-digest")
        digest = oci.digest_of(answer.data)
        for wanted in (told, reference):
            if wanted and oci.is_digest(wanted) and wanted != digest:
                raise LookError(
                    f"Can't {doing}: {self.host} sent a manifest with the digest {digest}, not "
                    f"{wanted}. Run it again; if it stays so, the registry or a proxy is broken."
                )
        manifest = oci.decode(answer.data, self.name(reference))
        kind = manifest.media_type or answer.headers.get("content-type", "").partition(";")[0]
        return Stored(oci.descriptor(answer.data, kind.strip()), answer.data, manifest)

    def read(self, reference: str) -> Stored:
        """Return the manifest that a tag or a digest names.

        Raises:
            LookError: There is none.
        """
        stored = self.find(reference)
        if stored is None:
            raise LookError(f"There is no {self.name(reference)}.")
        return stored

    def put(self, manifest: Manifest, reference: str | None = None) -> Answer:
        """Store a manifest under its digest, or under a tag, wherever that stood before."""
        data = oci.encode(manifest)
        reference = reference or oci.digest_of(data)
        doing = f"store {reference}"
        answer = self._put(data, manifest.media_type or oci.MANIFEST, reference)
        return self._http.expect(answer, doing)

    def create_tag(self, tag: str, data: bytes, media_type: str) -> str:
        """Give a manifest a tag that is new, and return its digest.

        Where the registry does not let tags be moved this decides a race: one of several wins. The
        same bytes under the same tag are no error, since the answer to an attempt may be lost.

        Args:
            tag: The tag.
            data: The manifest.
            media_type: Its type.

        Raises:
            TakenError: The tag names something else.
        """
        digest, doing = oci.digest_of(data), f"create the tag {tag}"
        there = self.head(tag)
        if there is None:
            answer = self._put(data, media_type, tag)
            there = self.head(tag)
            if there is None or answer.status not in _REFUSALS:
                self._http.expect(answer, doing)
            if there is None:
                raise LookError(f"Can't {doing}: {self.host} took it and does not have it now.")
        if there != digest:
            message = f"The tag {tag} of {self.repository} names {there} and is not moved."
            raise TakenError(message, there)
        return digest

    def tags(self) -> list[str]:
        """Return all tags of the repository."""
        doing = f"list the tags of {self.repository}"
        found: list[str] = []
        for answer in self._pages(f"{self._api}/tags/list?n=1000", doing):
            found += self._decode(answer, _Tags, doing).tags or []
        return found

    def list_referrers(self, digest: str) -> list[Descriptor]:
        """Return the descriptors of what refers to a digest, where the registry lists that."""
        doing = f"list what refers to {digest}"
        found: list[Descriptor] = []
        for answer in self._pages(f"{self._api}/referrers/{digest}", doing):
            found += self._decode(answer, Manifest, doing).manifests or []
        return found

    # Blobs.

    def blob(self, descriptor: Descriptor) -> bytes:
        """Return a blob, which has to have the descriptor's digest and size."""
        doing = f"read the blob {descriptor.digest}"
        if descriptor.size > _LARGEST_BLOB:
            raise LookError(f"Can't {doing}: it has {descriptor.size} bytes, which is too much.")
        path = f"{self._api}/blobs/{descriptor.digest}"
        answer = self._http.send(
            Request("GET", path, doing, largest=max(descriptor.size, LARGEST_ERROR))
        )
        if answer.status == HTTPStatus.NOT_FOUND:
            raise LookError(f"Can't {doing}: {self.host} does not have it (any more).")
        self._http.expect(answer, doing)
        if oci.digest_of(answer.data) != descriptor.digest:
            raise LookError(f"Can't {doing}: {self.host} sent other bytes. Run it again.")
        return answer.data

    def put_blob(self, data: bytes, media_type: str) -> Descriptor:
        """Store a blob, unless it is there, and return its descriptor.

        A large one goes in chunks; where the connection breaks it goes on after what has arrived.
        """
        return put_blob(self._http, data, media_type, self._chunk)

    def _pages(self, path: str, doing: str) -> Iterator[Answer]:
        for _ in range(_MOST_PAGES):
            answer = self._http.ask(Request("GET", path, doing, largest=_LARGEST_MANIFEST))
            yield answer
            link = _NEXT.search(answer.headers.get("link", ""))
            if link is None:
                return
            # On this host, whatever the link says.
            parts = urlsplit(self._http.url(link[1]))
            path = f"{parts.path}?{parts.query}"
        raise LookError(f"Can't {doing}: {self.host} goes on and on with further pages.")

    def _put(self, data: bytes, media_type: str, reference: str) -> Answer:
        headers = {"Content-Type": media_type}
        return self._http.send(
            Request("PUT", self._manifest(reference), f"store {reference}", headers, data)
        )

    def _manifest(self, reference: str) -> str:
        return f"{self._api}/manifests/{quote(reference, safe=':')}"

    def _decode(self, answer: Answer, kind: type[_Kind], doing: str) -> _Kind:
        try:
            return msgspec.json.decode(answer.data, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise LookError(f"Can't {doing}: {self.host} answers what can't be read.") from None
