"""A client of `/v1/chat/completions` that streams."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from llm_twin.errors import TwinError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence

    import httpx
    from httpx_sse import EventSource

    from llm_twin.settings import AnswerSettings

ATTEMPTS: Final = 3
CONNECT: Final = 5.0  # seconds
PASSING: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
LONGEST: Final = 1 << 20  # characters of an answer


class ModelError(TwinError):
    """The language model can't be reached, or answers something else than it should."""


class BusyError(TwinError):
    """Too many questions are being answered; it may be tried again."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A further piece of the answer, or its end.

    Attributes:
        text: The text that was added.
        finish: Why the answer ended, in the last pieces.
        prompt_tokens: Tokens read, once the endpoint told it.
        completion_tokens: Tokens written, once the endpoint told it.
    """

    text: str = ""
    finish: Literal["stop", "length"] | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class ChatClient:
    """An OpenAI-compatible endpoint. Belongs to one event loop.

    Attributes:
        base: The address that it was given.
    """

    def __init__(self, url: str, model: str, key: str | None, limits: AnswerSettings) -> None:
        """Take the address; nothing is called yet."""
        self.base = url
        self._url = f"{url.rstrip('/').removesuffix('/v1')}/v1/chat/completions"
        self._model = model
        self._key = key
        self._limits = limits
        self._turns = asyncio.Semaphore(limits.parallel)
        self._opened: httpx.AsyncClient | None = None

    async def stream(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        max_tokens: int,
        temperature: float,
    ) -> AsyncGenerator[Piece, None]:
        """Ask, and yield the answer as it comes. Leaving the iteration ends the model's work.

        A request is repeated, after a while that grows and varies, only until the first piece.

        Args:
            messages: The conversation, as the endpoint takes it.
            max_tokens: Limit on what the model writes.
            temperature: 0 for the likeliest words.

        Raises:
            BusyError: No turn was free in time.
            ModelError: The endpoint can't be reached, is too slow or answers something else.
        """
        body = {
            "model": self._model,
            "messages": list(messages),
            "max_tokens": max_tokens,
            "temperature": temperature,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        async with self._turn():
            try:
                async with asyncio.timeout(self._limits.timeout):
                    async with (
                        self._answering(body) as events,
                        aclosing(_pieces(events, self._url)) as pieces,
                    ):
                        async for piece in pieces:
                            yield piece
            except TimeoutError:
                raise ModelError(
                    f"{self._url}: the answer took longer than {self._limits.timeout:g} seconds; "
                    "see answers.timeout"
                ) from None

    async def close(self) -> None:
        """Close the connections."""
        if self._opened is not None:
            await self._opened.aclose()
            self._opened = None

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._limits.queue_timeout):
                await self._turns.acquire()
        except TimeoutError:
            raise BusyError(
                f"{self._limits.parallel} answers are being written; try again in a while, or "
                "raise answers.parallel"
            ) from None
        try:
            yield
        finally:
            self._turns.release()

    @asynccontextmanager
    async def _answering(self, body: Mapping[str, object]) -> AsyncIterator[EventSource]:
        import httpx
        from httpx_sse import EventSource

        try:
            response = await self._sent(body)
        except httpx.HTTPStatusError as error:
            raise ModelError(
                f"{self._url}: answered {error.response.status_code}; see model.url, model.name "
                "and LLM_TWIN_MODEL_API_KEY"
            ) from None
        except httpx.HTTPError as error:
            raise ModelError(
                f"{self._url}: can't be reached: {type(error).__name__}; see model.url"
            ) from None
        try:
            yield EventSource(response)
        except httpx.HTTPError as error:
            raise ModelError(f"{self._url}: the answer broke off: {type(error).__name__}") from None
        finally:
            await response.aclose()

    async def _sent(self, body: Mapping[str, object]) -> httpx.Response:
        import httpx
        from tenacity import (
            AsyncRetrying,
            retry_if_exception,
            stop_after_attempt,
            wait_random_exponential,
        )

        def passing(error: BaseException) -> bool:
            if isinstance(error, httpx.HTTPStatusError):
                return error.response.status_code in PASSING
            return isinstance(error, httpx.ConnectError | httpx.RemoteProtocolError)

        async for attempt in AsyncRetrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random_exponential(0.2, max=3),
            retry=retry_if_exception(passing),
            reraise=True,
        ):
            with attempt:
                request = self._client().build_request("POST", self._url, json=body)
                response = await self._client().send(request, stream=True)
                if response.is_error:
                    await response.aclose()
                response.raise_for_status()
                return response
        raise AssertionError("an attempt ends in a response or an error")

    def _client(self) -> httpx.AsyncClient:
        import httpx

        if self._opened is None:
            headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
            self._opened = httpx.AsyncClient(
                headers=headers,
                timeout=httpx.Timeout(self._limits.token_timeout, connect=CONNECT),
                follow_redirects=False,
            )
        return self._opened


async def _pieces(events: EventSource, url: str) -> AsyncGenerator[Piece, None]:
    from httpx_sse import SSEError

    length, ended = 0, False
    try:
        async with aclosing(events.aiter_sse()) as stream:
            async for event in stream:
                if event.data == "[DONE]":
                    break
                for piece in _read(json.loads(event.data)):
                    length += len(piece.text)
                    ended = ended or piece.finish is not None
                    yield piece
                if length > LONGEST:
                    raise _strange(url, "the answer does not end")
    except (SSEError, ValueError, KeyError, TypeError, AttributeError):
        raise _strange(url, "an event is no chat completion") from None
    if not ended:
        raise ModelError(f"{url}: the answer broke off before its end")


def _read(event: Any) -> list[Piece]:  # noqa: ANN401 - JSON of an endpoint
    if "error" in event:
        raise ValueError("an error in place of a piece")
    pieces = []
    for choice in event["choices"][:1]:
        text = choice.get("delta", {}).get("content") or ""
        if not isinstance(text, str):
            raise TypeError("content is no text")
        finish = choice.get("finish_reason")
        known: Literal["stop", "length"] = "length" if finish == "length" else "stop"
        pieces.append(Piece(text, known if finish else None))
    if usage := event.get("usage"):
        pieces.append(
            Piece(
                prompt_tokens=int(usage["prompt_tokens"]),
                completion_tokens=int(usage["completion_tokens"]),
            )
        )
    return pieces


def _strange(url: str, what: str) -> ModelError:
    return ModelError(f"{url}: is no chat completion endpoint: {what}; see model.url")
