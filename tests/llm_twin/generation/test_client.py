"""The client of chat completions, against a server that behaves and one that does not."""

import asyncio
import time
from contextlib import aclosing

import pytest

from llm_twin.generation.client import BusyError, ChatClient, ModelError, Piece
from llm_twin.settings import AnswerSettings
from tests.llm_twin.answering import endpoint

ASKED = [{"role": "user", "content": "When?"}]


async def _all(client: ChatClient) -> list[Piece]:
    async with aclosing(client.stream(ASKED, max_tokens=9, temperature=0)) as pieces:
        return [piece async for piece in pieces]


def _said(url: str, key: str | None = None, **limits: float) -> list[Piece]:
    async def run() -> list[Piece]:
        client = ChatClient(url, "m", key, AnswerSettings.model_validate(limits))
        try:
            return await _all(client)
        finally:
            await client.close()

    return asyncio.run(run())


def test_the_answer_comes_in_pieces_and_the_usage_last() -> None:
    """The answer comes in pieces and the usage last."""
    with endpoint(text="At nine.") as server:
        pieces = _said(f"{server.url}/v1", "made-up-key")
    assert [piece.text for piece in pieces] == ["At ", "nine. ", "", ""]
    assert pieces[2].finish == "stop"
    assert (pieces[3].prompt_tokens, pieces[3].completion_tokens) == (11, 2)
    assert server.keys == ["Bearer made-up-key"]
    assert server.asked[0]["messages"] == ASKED
    assert server.asked[0]["max_tokens"] == 9


def test_a_passing_failure_is_tried_again() -> None:
    """A passing failure is tried again."""
    with endpoint("503", "429", "answer") as server:
        pieces = _said(server.url)
    assert len(server.asked) == 3
    assert "".join(piece.text for piece in pieces).startswith("The ferry")


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        ("401", "answered 401; see model.url"),
        ("500", "answered 500"),
        ("html", "is no chat completion endpoint"),
        ("garbage", "an event is no chat completion"),
        ("error", "an event is no chat completion"),
        ("half", "broke off"),
    ],
)
def test_an_endpoint_that_fails_is_told_in_one_line(plan: str, told: str) -> None:
    """An endpoint that fails is told in one line."""
    with endpoint(plan) as server, pytest.raises(ModelError, match=told) as caught:
        _said(server.url)
    assert "\n" not in str(caught.value)


def test_an_endpoint_that_hangs_is_given_up() -> None:
    """An endpoint that hangs is given up."""
    began = time.monotonic()
    with endpoint("hang") as server, pytest.raises(ModelError, match="ReadTimeout"):
        _said(server.url, token_timeout=0.3)
    assert time.monotonic() - began < 10


def test_an_answer_without_end_is_given_up() -> None:
    """An answer without end is given up."""
    with endpoint("endless") as server, pytest.raises(ModelError, match=r"longer than 0\.5"):
        _said(server.url, timeout=0.5)
    assert server.ended.wait(10)


def test_nobody_listens() -> None:
    """Nobody listens."""
    with pytest.raises(ModelError, match="can't be reached: ConnectError"):
        _said("http://127.0.0.1:9")


def test_leaving_the_iteration_ends_the_work_of_the_model() -> None:
    """Leaving the iteration ends the work of the model."""

    async def run(url: str) -> None:
        client = ChatClient(url, "m", None, AnswerSettings())
        async with aclosing(client.stream(ASKED, max_tokens=9, temperature=0)) as pieces:
            async for _ in pieces:
                break
        await client.close()

    with endpoint("endless") as server:
        asyncio.run(run(server.url))
        assert server.ended.wait(10)


def test_more_than_the_limit_wait_and_then_hear_that_it_is_busy() -> None:
    """More than the limit wait and then hear that it is busy."""

    async def run(url: str) -> list[object]:
        client = ChatClient(url, "m", None, AnswerSettings(parallel=1, queue_timeout=0.3))
        first = asyncio.create_task(_all(client))
        await asyncio.sleep(0.1)
        results: list[object] = list(await asyncio.gather(_all(client), return_exceptions=True))
        first.cancel()
        results += await asyncio.gather(first, return_exceptions=True)
        await client.close()
        return results

    with endpoint("endless") as server:
        second, _ = asyncio.run(run(server.url))
        assert isinstance(second, BusyError)
        assert len(server.asked) == 1
        assert server.ended.wait(10)
