"""Answers one question: whose turn it is, the twin, the trace, and the bytes in their order."""

import asyncio
import logging
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from fastapi.responses import Response

from llm_twin.errors import TwinError
from llm_twin.generation.client import BusyError
from llm_twin.service.answers import Writer, event
from llm_twin.service.bodies import ChatRequest
from llm_twin.service.errors import INTERNAL, STOPPING, ApiError, unavailable, where
from llm_twin.service.state import Service
from llm_twin.twin import Answer, Done, Message, Token

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from llm_twin.tracing.tracer import Request

TRACE_HEADER: Final = "x-trace-id"
_BEAT: Final = 15.0  # seconds; proxies close what is silent for longer
_LAST_BYTES: Final = 30.0  # seconds for a reader to take the end of an answer
_STREAM_HEADERS: Final = {
    b"content-type": b"text/event-stream; charset=utf-8",
    b"cache-control": b"no-store",
    b"x-accel-buffering": b"no",  # nginx would hold the pieces back
}

log = logging.getLogger("llm_twin.service")


class ChatResponse(Response):
    """Answers while it is sent; when the caller goes away, the work ends."""

    def __init__(self, service: Service, asked: ChatRequest) -> None:
        """Prepare to answer.

        Args:
            service: What the routes share.
            asked: The question; within the limits.
        """
        super().__init__()
        self._service = service
        self._asked = asked

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer."""
        del scope
        line = _Line(send)
        work = asyncio.create_task(self._work(line))
        left = asyncio.create_task(_left(receive))
        stopped = False
        try:
            await asyncio.wait({work, left}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            stopped = True  # the time for answers in the making is over
        left.cancel()
        work.cancel()
        await asyncio.wait({work, left})
        if not work.cancelled():
            work.result()
        elif stopped:
            self._service.metrics.unfinished("failed")
            await self._refuse(line, STOPPING)
        else:
            self._service.metrics.unfinished("left")

    async def _work(self, line: "_Line") -> None:
        came = time.monotonic()
        try:
            async with self._service.queue.turn():
                await self._answer(line, time.monotonic() - came)
        except ApiError as error:
            await self._refuse(line, error)
        except Exception as error:  # noqa: BLE001 - a stream that has begun ends with words, too
            self._service.metrics.unfinished("failed")
            log.error("internal error: %s", where(error))  # noqa: TRY400 - values may be secret
            await self._refuse(line, INTERNAL)

    async def _refuse(self, line: "_Line", error: ApiError) -> None:
        try:
            async with asyncio.timeout(_LAST_BYTES):
                await line.refuse(error)
        except TimeoutError:
            log.warning("a reader did not take an error")

    async def _answer(self, line: "_Line", waited: float) -> None:
        asked, service = self._asked, self._service
        given = {"messages": [{"role": m.role, "content": m.content} for m in self._messages()]}
        seen = {"stream": bool(asked.stream), "queued_seconds": round(waited, 4)}
        with service.tracer.request("chat", given, metadata=seen) as record:
            line.trace = record.trace_id
            writer = Writer(
                service.settings.model,
                record.trace_id,
                asked.ignored(),
                service.masker.mask_text,
            )
            try:
                async with asyncio.timeout(service.settings.answer_seconds):
                    answer = await self._pieces(line, writer, record)
                record.answered(answer)
            except (TwinError, TimeoutError) as error:
                record.fail(error)
                await self._keep(record)
                raise self._told(error) from None
            # Nothing that the caller has whole may be missing from the spool.
            await self._keep(record)
        service.metrics.answer(answer)
        try:
            async with asyncio.timeout(_LAST_BYTES):
                await self._end(line, writer, answer)
        except TimeoutError:
            log.warning("a reader did not take the end of an answer")

    async def _keep(self, record: "Request") -> None:
        try:
            await record.committed()
        except TwinError as error:
            raise self._told(error) from None

    async def _pieces(self, line: "_Line", writer: Writer, record: "Request") -> Answer:
        asked, streamed = self._asked, bool(self._asked.stream)
        beats = asyncio.create_task(line.beats(writer.first())) if streamed else None
        answer = None
        try:
            async with aclosing(
                self._service.twin.answer(
                    self._messages(),
                    observer=record,
                    max_tokens=asked.limit(self._service.settings.max_tokens),
                    temperature=asked.temperature,
                )
            ) as events:
                async for each in events:
                    if isinstance(each, Token) and streamed:
                        await line.write(writer.piece(each.text), begin=writer.first())
                    elif isinstance(each, Done):
                        answer = each.answer
        finally:
            if beats is not None:
                beats.cancel()
        if answer is None:
            raise TwinError("the answer has no end")
        return answer

    async def _end(self, line: "_Line", writer: Writer, answer: Answer) -> None:
        if not self._asked.stream:
            await line.whole(writer.whole(answer))
            return
        await line.write(writer.last(answer), begin=writer.first())
        options = self._asked.stream_options
        if options is not None and options.include_usage:
            await line.write(writer.usage(answer))
        await line.end(event("[DONE]"))

    def _messages(self) -> tuple[Message, ...]:
        return self._asked.conversation()

    def _told(self, error: TwinError | TimeoutError) -> ApiError:
        self._service.metrics.unfinished("failed")
        if isinstance(error, TimeoutError):
            log.warning("an answer took longer than service.answer_seconds")
            return ApiError(504, "The answer took too long.", code="timeout")
        if isinstance(error, BusyError):
            return self._service.queue.busy()
        log.error("no answer: %s", error)
        return unavailable(error, self._service.masker)


class _Line:
    """The way back to the caller.

    Attributes:
        trace: The trace's id, once there is one.
    """

    def __init__(self, send: "Send") -> None:
        self.trace: str | None = None
        self._send = send
        self._begun = self._whole = False
        self._lock = asyncio.Lock()  # a beat may not come between a piece's beginning and end
        self._written = time.monotonic()

    async def write(self, data: bytes, *, begin: bytes = b"") -> None:
        """Send a piece of a stream.

        Args:
            data: Whole events.
            begin: The events before it, where it is the first.
        """
        async with self._lock:
            if not self._begun:
                self._begun = True
                headers = [*_STREAM_HEADERS.items(), *self._trace()]
                await self._send({"type": "http.response.start", "status": 200, "headers": headers})
                data = begin + data
            await self._body(data, more=True)

    async def end(self, data: bytes) -> None:
        """Send the last piece of a stream."""
        async with self._lock:
            self._whole = True
            await self._body(data, more=False)

    async def whole(self, data: bytes) -> None:
        """Send an answer that is no stream."""
        self._whole = True
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(data)).encode()),
            *self._trace(),
        ]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._body(data, more=False)

    async def refuse(self, error: ApiError) -> None:
        """Tell of an error: by the status, or in the stream where that has begun."""
        if self._whole:
            return
        if self._begun:
            await self.end(event(_json(error)))
            return
        response = error.response()
        response.raw_headers += self._trace()
        await self._send(
            {
                "type": "http.response.start",
                "status": response.status_code,
                "headers": response.raw_headers,
            }
        )
        await self._body(bytes(response.body), more=False)

    async def beats(self, begin: bytes) -> None:
        """Send a comment where nothing else was sent for a while, until cancelled."""
        while True:
            silent = time.monotonic() - self._written
            if silent >= _BEAT:
                await self.write(b": still working\n\n", begin=begin)
                silent = 0
            await asyncio.sleep(_BEAT - silent)

    async def _body(self, data: bytes, *, more: bool) -> None:
        self._written = time.monotonic()
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    def _trace(self) -> list[tuple[bytes, bytes]]:
        return [] if self.trace is None else [(TRACE_HEADER.encode(), self.trace.encode())]


async def _left(receive: "Receive") -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _json(error: ApiError) -> str:
    return bytes(error.response().body).decode()
