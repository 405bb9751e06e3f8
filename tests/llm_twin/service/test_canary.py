"""Keys and personal data of questions, documents and settings: in nothing that is kept or told."""

import secrets
import string
from pathlib import Path

import httpx

from tests.llm_server import LlmServer, llm_server
from tests.llm_twin.service.running import MODEL, Service, llm_twin, question, running


def made(prefix: str, length: int) -> str:
    """A key that nobody has: put together here, so that no scan finds one in this file."""
    return prefix + "".join(secrets.choice(string.ascii_letters) for _ in range(length))


CALLERS_KEY = "callers-key-8c1f27a94be05d63"
MODELS_KEY = "models-key-41d09e7ab3c8f256"
QDRANTS_KEY = f"stores-key-{secrets.token_hex(12)}"
E_MAILS = ["asker.canary@example.org", "author.canary@example.org", "reader.canary@example.org"]
PHONES = ["+49 30 901820", "+44 20 7946 0958"]
TOKENS = [
    made("sk-proj-", 40),
    made("hf_", 34),
    made("ghp_", 36),
]
SECRETS = [CALLERS_KEY, MODELS_KEY, QDRANTS_KEY, *E_MAILS, *PHONES, *TOKENS]
JSON = {"Content-Type": "application/json"}


def test_no_canary_anywhere(tmp_path: Path) -> None:
    """What was asked, written and set is in no trace, file of state, log, metric or error."""
    writing = tmp_path / "writing"
    writing.mkdir()
    (writing / "kiln.md").write_text(
        "# The kiln\n\nThe kiln is fired at 1240 degrees. Its maker is at "
        f"{E_MAILS[1]}, or {PHONES[0]}; the controller's token is {TOKENS[0]}.\n"
    )
    llm_twin("ingest", "writing", home=tmp_path / "source")
    (tmp_path / "own").mkdir()
    with (
        llm_server() as llm,
        running(
            tmp_path / "source",
            tmp_path / "own",
            LLM_TWIN_LOG_LEVEL="debug",
            LLM_TWIN_MODEL_URL=llm.url,
            LLM_TWIN_MODEL_API_KEY=MODELS_KEY,
            LLM_TWIN_SERVICE_API_KEYS=CALLERS_KEY,
            LLM_TWIN_OPIK_API_KEY=QDRANTS_KEY,
        ) as service,
    ):
        told = [response.text for response in provoke(service, llm)]
        with service.client(CALLERS_KEY) as client:
            told.append(client.get("/metrics").text)
        told.append(str(service.traces()))
        assert service.stop() == 0
        told.append(service.log.read_text())
        assert len(service.traces()) >= 8
    assert any("[e-mail]" in text for text in told)
    assert any("[key]" in text for text in told)
    for secret in SECRETS:
        assert not [text for text in told if secret in text], secret
        for file in service.home.rglob("*"):
            assert not file.is_file() or secret.encode() not in file.read_bytes(), (file, secret)


def provoke(service: Service, llm: LlmServer) -> list[httpx.Response]:
    """Ask with every secret in every place, of a model that answers and one that fails."""
    llm.reset("The kiln is fired at 1240 degrees [1].")
    asked = f"How hot is the kiln? I am {E_MAILS[0]}, {PHONES[1]}, and my key is {TOKENS[1]}"
    answers = []
    with service.client(CALLERS_KEY) as client:

        def post(path: str, body: object) -> httpx.Response:
            answers.append(client.post(path, json=body))
            return answers[-1]

        trace = post("/v1/chat/completions", question(asked)).headers["x-trace-id"]
        post("/v1/chat/completions", question(asked, stream=True))
        comment = f"Write to {E_MAILS[2]} with {TOKENS[2]}"
        post("/v1/feedback", {"trace_id": trace, "rating": "down", "comment": comment})
        for behaviour in ("error", "garbage", "refuse", "half", "close"):
            llm.behaviour = behaviour
            post("/v1/chat/completions", question(f"{asked} {CALLERS_KEY} {MODELS_KEY}"))
        llm.behaviour = "answer"
        post("/v1/chat/completions", question(CALLERS_KEY, stream=True))
        for secret in (*E_MAILS, *TOKENS):
            post("/v1/chat/completions", {**question("?"), secret: 1})
            post("/v1/chat/completions", {"model": secret, "messages": []})
            post("/v1/chat/completions", {"model": MODEL, "messages": [{"role": secret}]})
            post("/v1/feedback", {"trace_id": secret, "rating": secret})
            answers.append(client.get(f"/v1/models/{secret}"))
            answers.append(client.get(f"/{secret}?{secret}={secret}", headers={"x-secret": secret}))
            answers.append(client.post("/v1/feedback", content=f'{{"{secret}', headers=JSON))
            answers.append(client.get("/v1/models", headers={"Authorization": f"Bearer {secret}"}))
    return answers
