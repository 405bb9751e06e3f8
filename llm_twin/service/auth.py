"""Who may ask: keys, compared in constant time, and the names by which the service is called."""

import hashlib
import hmac
import ipaddress
from collections.abc import Iterable
from typing import Final

from llm_twin.errors import UsageError
from llm_twin.service.settings import ServiceSettings

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


class Keys:
    """The keys that callers may have. Only their digests are kept."""

    def __init__(self, keys: Iterable[str]) -> None:
        """Take the keys.

        Args:
            keys: Each of them in plain text.
        """
        self._digests = tuple(_digest(key.encode()) for key in keys)

    def owner(self, given: bytes) -> str | None:
        """Return a name for the key that was given, None where it is none of ours.

        Every key is compared, in constant time, whether or not an earlier one was it.
        """
        digest = _digest(given)
        found = None
        for known in self._digests:
            if hmac.compare_digest(known, digest):
                found = known
        return None if found is None else found.hex()


def bearer(header: bytes | None) -> bytes | None:
    """Return the key of the header `Authorization: Bearer KEY`; None where there is none."""
    scheme, _, key = (header or b"").partition(b" ")
    return key.strip() or None if scheme.lower() == b"bearer" else None


def keys_of(settings: ServiceSettings) -> Keys | None:
    """Return the keys of which callers need one; None where they need none.

    Raises:
        UsageError: Keys are needed and there are none, or the settings contradict each other.
    """
    keys = [key.get_secret_value() for key in settings.api_keys]
    if settings.auth == "off":
        if keys:
            raise UsageError(
                "service.auth is off, and service.api_keys holds keys that would not be asked for; "
                "unset one of the two"
            )
        return None
    if keys:
        return Keys(keys)
    if settings.auth == "required" or not is_loopback(settings.host):
        raise UsageError(
            "callers need a key and there is none: set LLM_TWIN_SERVICE_API_KEYS to one or more, "
            "with commas between, or let everyone ask with LLM_TWIN_SERVICE_AUTH=off"
        )
    return None


def hosts_of(settings: ServiceSettings, keys: Keys | None) -> frozenset[str] | None:
    """Return the names by which the service may be called; None: by any.

    Where no key is needed, a page of another site could have its own name lead here (DNS
    rebinding) and then ask as if it were ours; so the names count.
    """
    if settings.allowed_hosts:
        return LOOPBACK_NAMES | {name.lower() for name in settings.allowed_hosts}
    if keys is None and is_loopback(settings.host):
        return LOOPBACK_NAMES | {settings.host.lower()}
    return None


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
