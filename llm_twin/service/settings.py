"""Settings of the service: where it listens, who may ask, and how much."""

import re
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, SecretStr

from llm_twin.values import Count, Name, Names, Port, Seconds, Secrets

SHORTEST_KEY: Final = 16
_RATE: Final = re.compile(r"[1-9][0-9]{0,8}/(second|minute|hour|day)")


def _rate(value: str) -> str:
    if not _RATE.fullmatch(value):
        raise ValueError("should be a number of requests in a time, such as 60/minute")
    return value


def _long(keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if any(len(key.get_secret_value()) < SHORTEST_KEY for key in keys):
        raise ValueError(f"each key should have at least {SHORTEST_KEY} characters")
    return keys


def _origins(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        parts = urlsplit(value)
        if value != f"{parts.scheme}://{parts.netloc}":
            raise ValueError("should be origins, such as https://example.com")
    return values


Places = Annotated[int, Field(ge=0)]
Rate = Annotated[str, AfterValidator(_rate)]
Keys = Annotated[Secrets, AfterValidator(_long)]


class ServiceSettings(BaseModel, frozen=True):
    """Where the service listens, who may ask, and how much.

    Attributes:
        host: The address to listen on; what is not of the loopback needs keys.
        port: The port to listen on.
        model: The name under which the twin is a model.
        auth: Whether callers need a key; `auto`: where there are keys, and off the loopback.
        api_keys: The keys that callers may have.
        allowed_hosts: Names by which the service may be called, beside those of the loopback.
        cors_origins: Origins of other sites whose pages may call it.
        trusted_proxies: Addresses whose `X-Forwarded-For` is believed.
        body_bytes: Most bytes of a request.
        messages: Most messages of a conversation.
        characters: Most characters of a conversation.
        max_tokens: Most tokens of an answer, whatever the caller asks for.
        rate: Most requests of one caller in a time.
        concurrency: Most answers in the making at once.
        queue: Most requests that wait for their turn.
        queue_seconds: Longest wait for a turn.
        body_seconds: Longest time for a request's body to arrive.
        answer_seconds: Longest time for a whole answer.
        drain_seconds: Time for answers in the making after SIGTERM.
    """

    host: Name = "127.0.0.1"
    port: Port = 8000
    model: Name = "llm-twin"
    auth: Literal["auto", "required", "off"] = "auto"
    api_keys: Keys = ()
    allowed_hosts: Names = ()
    cors_origins: Annotated[Names, AfterValidator(_origins)] = ()
    trusted_proxies: Names = ()
    body_bytes: Count = 1_000_000
    messages: Count = 100
    characters: Count = 50_000
    max_tokens: Count = 1024
    rate: Rate = "120/minute"
    concurrency: Count = 8
    queue: Places = 32
    queue_seconds: Seconds = 30.0
    body_seconds: Seconds = 30.0
    answer_seconds: Seconds = 300.0
    drain_seconds: Seconds = 30.0
