"""The twin: retrieval, judgement, writing."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Final, Literal, Self

from llm_twin.answers import Answer, Citation, Done, Event, Message, Retrieved, Token
from llm_twin.errors import TwinError
from llm_twin.generation import asking, prompts
from llm_twin.generation.evidence import weigh
from llm_twin.generation.writing import (
    Draft,
    Request,
    checked,
    passages_of,
    quoted,
    small_messages,
    streamed,
)
from llm_twin.observing import Silent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence

    from llm_twin.generation.client import ChatClient
    from llm_twin.generation.embedded import EmbeddedServer
    from llm_twin.generation.reading import Reader
    from llm_twin.home import Home
    from llm_twin.observing import Observer
    from llm_twin.retrieval.chunks import Hit
    from llm_twin.retrieval.index import Index
    from llm_twin.settings import Settings

SHOWN: Final = 3  # passages that a capable model is shown

__all__ = [
    "Answer",
    "Citation",
    "Done",
    "Event",
    "Message",
    "Retrieved",
    "Token",
    "Twin",
]


class Twin:
    """Answers questions from the corpus. An asynchronous context manager; one event loop uses it.

    Attributes:
        model: The language model that it asks.
    """

    def __init__(self, index: Index, reader: Reader, settings: Settings) -> None:
        """Take the parts; `open` finds them."""
        self._index = index
        self._reader = reader
        self._settings = settings.answers
        self._endpoint = settings.model
        mode = self._settings.mode
        if mode == "auto":
            mode = "streamed" if self._endpoint.url else "checked"
        self._mode: Literal["streamed", "checked", "extractive"] = mode
        self._server: EmbeddedServer | None = None
        self._client: ChatClient | None = None
        self._starting = asyncio.Lock()
        if mode == "extractive":
            self.model = "none"
        elif self._endpoint.url:
            self.model = self._endpoint.name or "default"
        else:
            from llm_twin.generation import embedded

            self.model = embedded.NAME
            self._server = embedded.EmbeddedServer(self._settings.parallel)

    @classmethod
    def open(cls, home: Home, settings: Settings) -> Self:
        """Open the index, and get ready to ask the model.

        Raises:
            UsageError: There is no index, or it belongs to another corpus, embedder or store.
            TwinError: A part is missing or can't be reached.
        """
        from llm_twin.generation.reading import Reader
        from llm_twin.retrieval.embed import embedder
        from llm_twin.retrieval.index import Index
        from llm_twin.retrieval.minilm import MiniLM

        model = embedder(settings)
        reading = model if isinstance(model, MiniLM) else MiniLM()
        return cls(Index.open(home, settings, model), Reader(reading), settings)

    async def __aenter__(self) -> Self:
        """Start the embedded model in the background, if it is going to be asked."""
        if self._server is not None:
            self._warming = asyncio.create_task(self._warm(self._server))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close everything."""
        await self.close()

    async def close(self) -> None:
        """Close the index and the connections, and end the embedded model."""
        if self._server is not None:
            await self._warming
            await asyncio.to_thread(self._server.stop)
        if self._client is not None:
            await self._client.close()
        self._index.close()

    async def answer(
        self,
        messages: Sequence[Message],
        *,
        observer: Observer | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Answer the last message of a conversation.

        Yields `Retrieved`, then `Token` after `Token`, then `Done`. Closing the iteration ends the
        model's work.

        Args:
            messages: The conversation; the last message is the user's.
            observer: Told of every step.
            max_tokens: Limit on what the model writes, instead of the setting.
            temperature: 0 for the likeliest words, instead of the setting.

        Raises:
            UsageError: The last message is not from the user or is empty.
            BusyError: Too many answers are being written.
            TwinError: The index or its store can't be used, or the model failed half-way.
        """
        began = time.perf_counter()
        watching = observer or Silent()
        question = asking.standalone(messages)
        timings: dict[str, float] = {}
        with watching.span("retrieval", "tool", {"query": question}) as span:
            found = await asyncio.to_thread(self._index.find, question, self._settings.passages)
            evidence = await asyncio.to_thread(
                weigh, question, found.hits, found.rarity, self._reader
            )
            timings["retrieval"] = time.perf_counter() - began
            span.update(
                output={"passages": [_shown(hit) for hit in evidence.hits]},
                metadata={
                    "confidence": round(evidence.confidence, 4),
                    "enough": evidence.enough,
                    "index": found.index,
                    "corpus": found.corpus,
                },
            )
        yield Retrieved(evidence.hits)
        draft = Draft()
        request = Request(
            messages,
            question,
            evidence,
            self._settings.max_tokens if max_tokens is None else max_tokens,
            self._settings.temperature if temperature is None else temperature,
        )
        async with aclosing(self._written(draft, request, watching)) as pieces:
            async for piece in pieces:
                timings.setdefault("first_token", time.perf_counter() - began)
                yield Token(piece)
        timings["total"] = time.perf_counter() - began
        yield Done(
            Answer(
                text=draft.text,
                citations=tuple(
                    Citation(number, chunk.id, chunk.place, chunk.source, chunk.url, quote)
                    for number, (chunk, quote) in sorted(draft.cited.items())
                ),
                abstained=draft.abstained,
                extractive=draft.extractive,
                model=self.model,
                prompt_version=prompts.version(),
                index=found.index,
                corpus=found.corpus,
                prompt_tokens=draft.prompt_tokens,
                completion_tokens=draft.completion_tokens,
                timings=timings,
                finish_reason=draft.finish,
                confidence=evidence.confidence,
                grounded=draft.grounded,
                problem=draft.problem,
            )
        )

    async def _written(
        self, draft: Draft, request: Request, watching: Observer
    ) -> AsyncGenerator[str, None]:
        if not request.evidence.enough:
            draft.abstained = True
            yield draft.add(prompts.text("unknown.md"))
            return
        if self._mode == "extractive":
            for piece in quoted(draft, request):
                yield piece
            return
        chunks = passages_of(request.evidence, SHOWN)
        with watching.span("prompt", "general", {"question": request.question}) as span:
            asked = (
                asking.for_capable(request.messages, chunks)
                if self._mode == "streamed"
                else small_messages(request)
            )
            span.update(output={"messages": asked}, metadata={"version": prompts.version()})
        with watching.span("generation", "llm", {"messages": asked}) as span:
            client = await self._asked(draft)
            if client is None:
                writing: AsyncGenerator[str, None] = _each(quoted(draft, request))
            elif self._mode == "streamed":
                writing = streamed(draft, request, client, asked, chunks)
            else:
                writing = checked(draft, request, client, asked)
            try:
                async with aclosing(writing) as pieces:
                    async for piece in pieces:
                        yield piece
            finally:
                span.update(
                    output={"text": draft.text, "rejected": draft.rejected},
                    metadata={
                        "extractive": draft.extractive,
                        "grounded": round(draft.grounded, 4),
                        "problem": draft.problem,
                    },
                    usage={
                        "prompt_tokens": draft.prompt_tokens,
                        "completion_tokens": draft.completion_tokens,
                        "total_tokens": draft.prompt_tokens + draft.completion_tokens,
                    },
                    model=self.model,
                    provider="embedded" if self._server else "openai",
                )

    async def _asked(self, draft: Draft) -> ChatClient | None:
        """The client; None, and a problem in the draft, where the embedded model does not start."""
        from llm_twin.generation.client import ChatClient

        async with self._starting:
            if self._server is None:
                key = self._endpoint.api_key
                self._client = self._client or ChatClient(
                    self._endpoint.url or "",
                    self.model,
                    key.get_secret_value() if key else None,
                    self._settings,
                )
                return self._client
            try:
                address = await asyncio.to_thread(self._server.start)
            except TwinError as error:
                draft.problem = str(error)
                return None
            if self._client is None or self._client.base != address.url:
                self._client = ChatClient(address.url, self.model, address.key, self._settings)
            return self._client

    @staticmethod
    async def _warm(server: EmbeddedServer) -> None:
        with suppress(TwinError):  # told with the first answer
            await asyncio.to_thread(server.start)


async def _each(pieces: Iterator[str]) -> AsyncGenerator[str, None]:
    for piece in pieces:
        yield piece


def _shown(hit: Hit) -> dict[str, object]:
    return {
        "chunk": hit.chunk.id,
        "place": hit.chunk.place,
        "source": hit.chunk.source,
        "score": round(hit.score, 4),
        "dense": round(hit.dense, 4),
        "sparse": round(hit.sparse, 4),
        "text": hit.chunk.text,
    }
