"""The twin's service against the bare llama.cpp server that it asks, with the same prompts.

Both ask the same server process. Each prompt is asked once by each of the two, and another one
comes between, so that neither finds the other's work in the server's cache.
"""

import json
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

from llm_twin.generation.embedded import EmbeddedServer
from llm_twin.settings import AnswerSettings
from tests.llm_twin.service.running import MODEL, Service, llm_twin, running
from tests.repository import ROOT

TOKENS = 32
CALLERS = 8
QUESTIONS = (
    "How do I switch a check off?",
    "What does the exit code 3 mean?",
    "Which files does a run write into the folder of the reports?",
    "What is a red control?",
    "How is the environment of a source made?",
    "Which Python runs in the containers?",
    "How do I run the pipeline in another CI system?",
    "What happens without a table in the pyproject file?",
    "How do I give a job its secrets?",
    "Where are the caches kept, and how large do they get?",
    "What does the leak scan do with a merge?",
    "How is a coverage floor set?",
    "Which version of a tool runs?",
    "What holds the verdict file?",
    "How are secrets masked in the output?",
    "What do I do behind a proxy?",
)
Messages = list[dict[str, str]]
Ask = Callable[[Messages], tuple[float, int]]
"""Asks and returns the seconds to the first token, and how many pieces came."""


def service(work: Path, runs: int) -> str:
    """Return a table of ratios: time to the first token, and throughput with 8 callers."""
    home = work / "home"
    llm_twin("ingest", ROOT / "docs", home=home)
    model = EmbeddedServer(AnswerSettings().parallel)
    address = model.start()
    try:
        (work / "service").mkdir()
        with running(
            home,
            work / "service",
            LLM_TWIN_MODEL_URL=address.url,
            LLM_TWIN_MODEL_API_KEY=address.key,
            LLM_TWIN_ANSWERS_MODE="streamed",
            LLM_TWIN_ANSWERS_QUEUE_TIMEOUT="600",
            LLM_TWIN_SERVICE_QUEUE_SECONDS="600",
        ) as ours:
            bare = _asker(address.url, {"Authorization": f"Bearer {address.key}"}, {})
            through = _asker(f"{ours.url}/v1", {}, {"model": MODEL})
            prompts = _prompts(ours, through, QUESTIONS[: 2 * runs])
            return _report(prompts, bare, through)
    finally:
        model.stop()


def _report(prompts: Sequence[tuple[str, Messages]], bare: Ask, through: Ask) -> str:
    first: dict[str, list[float]] = {"bare": [], "service": []}
    for turn in range(2):
        for number, (question, prompt) in enumerate(prompts):
            if (number + turn) % 2:
                first["bare"].append(bare(prompt)[0])
            else:
                first["service"].append(through([{"role": "user", "content": question}])[0])
    speed: dict[str, list[float]] = {"bare": [], "service": []}
    asked = [[{"role": "user", "content": question}] for question, _ in prompts]
    for _ in range(2):
        speed["bare"].append(_throughput(bare, [prompt for _, prompt in prompts]))
        speed["service"].append(_throughput(through, asked))
    lines = [
        "| same prompts | bare llama.cpp server | service | ratio |",
        "| :-- | --: | --: | --: |",
    ]
    medians = [statistics.median(first[name]) for name in ("bare", "service")]
    lines.append(
        f"| time to the first token | {medians[0]:.3f} s | {medians[1]:.3f} s "
        f"| {medians[1] / medians[0]:.2f} |"
    )
    medians = [statistics.median(speed[name]) for name in ("bare", "service")]
    lines.append(
        f"| tokens a second, {CALLERS} callers | {medians[0]:.1f} | {medians[1]:.1f} "
        f"| {medians[1] / medians[0]:.2f} |"
    )
    return "\n".join(lines)


def _prompts(ours: Service, through: Ask, questions: Sequence[str]) -> list[tuple[str, Messages]]:
    """Ask each question once; return those for which the model was asked, with its prompt."""
    for question in questions:
        through([{"role": "user", "content": question}])
    return [
        (kept["trace"]["input"]["messages"][0]["content"], span["input"]["messages"])
        for kept in ours.traces()
        for span in kept["spans"]
        if span["name"] == "generation"
    ]


def _asker(url: str, headers: dict[str, str], fields: dict[str, Any]) -> Ask:
    client = httpx.Client(headers=headers, timeout=600, limits=httpx.Limits(max_connections=None))

    def ask(messages: Messages) -> tuple[float, int]:
        body = {"messages": messages, "stream": True, "max_tokens": TOKENS, "temperature": 0}
        started, first, count = time.perf_counter(), 0.0, 0
        with client.stream("POST", f"{url}/chat/completions", json=body | fields) as response:
            response.raise_for_status()
            for line in response.iter_lines():
                if line.startswith("data: {") and _text(line):
                    first = first or time.perf_counter() - started
                    count += 1
        return first, count

    return ask


def _text(line: str) -> str:
    choices = json.loads(line.removeprefix("data: "))["choices"]
    return (choices[0]["delta"].get("content") or "") if choices else ""


def _throughput(ask: Ask, prompts: Sequence[Messages]) -> float:
    """Let several callers ask at once; return all pieces over the time of all."""
    left = list(prompts)
    counts: list[int] = []

    def call() -> None:
        while left:
            try:
                prompt = left.pop()
            except IndexError:
                return
            counts.append(ask(prompt)[1])

    threads = [threading.Thread(target=call) for _ in range(CALLERS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - started)
