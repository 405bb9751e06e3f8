"""The commands `ask`, `chat`, `index` and `doctor`, run as their users run them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llm_twin.home import Home
from llm_twin.settings import Settings
from tests.llm_twin.answering import endpoint, ingested, write_documents

COMMAND = Path(sys.executable).with_name("llm-twin")
ROOT = Path(__file__).parents[2]
FERRY = "When does the ferry to the island leave?"

# Brings up the loopback, which llama.cpp's server listens on, and shows that nothing else is there.
LOOPBACK = """
import fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
    fcntl.ioctl(control, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))
assert [name for _, name in socket.if_nameindex()] == ["lo"]
"""


def run(*arguments: str, home: Path, given: str = "", **variables: str) -> tuple[int, str, str]:
    """Run the command; return exit code, output and errors."""
    done = subprocess.run(
        [COMMAND, *arguments],
        cwd=home.parent,
        env=os.environ
        | {"LLM_TWIN_HOME": str(home), "LLM_TWIN_ANSWERS_MODE": "extractive"}
        | variables,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with the small corpus."""
    folder = tmp_path_factory.mktemp("ask")
    made = Home(folder / "home")
    ingested(made, Settings(home=made.path), write_documents(folder / "notes"))
    return made.path


def test_ask_answers_with_the_source(home: Path) -> None:
    """`ask` answers, with the source."""
    code, told, wrong = run("ask", FERRY, home=home)
    assert (code, wrong) == (0, "")
    assert "nine in the morning" in told
    assert "[1] The ferry (notes/ferry.md)" in told


def test_ask_writes_json(home: Path) -> None:
    """`ask --json` writes one object."""
    code, told, _ = run("ask", "--json", "Who painted the Mona Lisa?", home=home)
    answer = json.loads(told)
    assert code == 0
    assert answer["schema"] == 1
    assert answer["abstained"] is True
    assert answer["citations"] == []


def test_ask_says_why_the_model_could_not_be_asked(home: Path) -> None:
    """`ask` says why the model could not be asked, and shows no key."""
    with endpoint("401") as server:
        code, told, wrong = run(
            "ask",
            FERRY,
            home=home,
            LLM_TWIN_ANSWERS_MODE="auto",
            LLM_TWIN_MODEL_URL=server.url,
            LLM_TWIN_MODEL_API_KEY="made-up-key-of-a-model",
        )
    assert code == 0
    assert "nine in the morning" in told
    assert wrong.startswith("Warning: quoted from the passages, because http://127.0.0.1")
    assert "made-up-key" not in told + wrong
    assert server.keys == ["Bearer made-up-key-of-a-model"]


@pytest.mark.parametrize(("question", "told"), [("  ", "the question is empty")])
def test_ask_refuses_an_empty_question(home: Path, question: str, told: str) -> None:
    """`ask` refuses an empty question."""
    code, _, wrong = run("ask", question, home=home)
    assert code == 2
    assert told in wrong
    assert wrong.count("\n") == 1


def test_ask_without_an_index_says_what_to_do(tmp_path: Path) -> None:
    """`ask` without an index says what to do."""
    code, _, wrong = run("ask", "What?", home=tmp_path / "home")
    assert code == 2
    assert wrong == "Error: there is no index yet; run `llm-twin ingest PATH`\n"


def test_chat_keeps_the_thread(home: Path) -> None:
    """`chat` keeps the thread of the conversation, and ends at the end of the input."""
    given = "How much is a ticket for the ferry?\nAnd for children?\n"
    code, told, _ = run("chat", home=home, given=given)
    assert code == 0
    assert told.count("[1] The ferry (notes/ferry.md)") == 2


def test_index_tells_what_it_did(home: Path) -> None:
    """`index` tells what it did."""
    assert run("index", home=home)[1].startswith("The index is up to date: ")
    built = json.loads(run("index", "--force", "--json", home=home)[1])
    assert built["unchanged"] is False
    assert built["embedded"] == built["passages"] > 0


def test_no_character_of_a_document_commands_the_terminal(tmp_path: Path) -> None:
    """No character of a document commands the terminal."""
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "a.md").write_text("# Ferry \x1b[31m\n\nThe ferry leaves at nine. \x1b]0;owned\x07\n")
    made = Home(tmp_path / "home")
    ingested(made, Settings(home=made.path), notes)
    _, told, _ = run("ask", "When does the ferry leave?", home=made.path)
    assert "nine" in told
    assert "\x1b" not in told
    assert "\x07" not in told


def test_doctor_finds_everything_in_order(home: Path) -> None:
    """`doctor` finds everything in order."""
    code, told, wrong = run("doctor", "--json", home=home, LLM_TWIN_ANSWERS_MODE="auto")
    findings = {each["part"]: each for each in json.loads(told)["findings"]}
    assert code == 0, wrong
    assert all(each["usable"] for each in findings.values())
    assert findings["language model"]["told"] == "SmolLM2-135M-Instruct answers"
    assert findings["corpus"]["told"] == "3 documents"


def test_doctor_says_what_to_do_about_every_part(tmp_path: Path) -> None:
    """`doctor` says what to do about every part, and one that is broken hides no other."""
    code, told, wrong = run(
        "doctor",
        home=tmp_path / "home",
        LLM_TWIN_ANSWERS_MODE="auto",
        LLM_TWIN_MODEL_URL="http://127.0.0.1:9",
        LLM_TWIN_QDRANT_URL="http://127.0.0.1:9",
        LLM_TWIN_OPIK_URL="http://127.0.0.1:9",
    )
    assert code == 3
    assert "NOT  corpus          it is empty; run `llm-twin ingest PATH`" in told
    assert "NOT  index           there is no index yet" in told
    assert "can't be reached: ConnectError; see model.url" in told
    assert "the vector store can't be reached" in told
    assert "traces stay in the spool until then" in told
    assert "ok   embeddings" in told
    assert wrong.startswith("Error: can't be used: corpus, index, language model")
    code, told, _ = run("doctor", home=tmp_path / "home", LLM_TWIN_NO_SUCH="1")
    assert code == 3
    assert told.startswith("NOT  settings  LLM_TWIN_NO_SUCH: no such setting")


@pytest.mark.netns
def test_the_docs_are_asked_without_any_network(tmp_path: Path) -> None:
    """From ingest to answer with the default settings, where only the loopback is there."""
    home = tmp_path / "home"
    script = f"""
        {sys.executable} -c '{LOOPBACK}'
        {COMMAND} ingest docs && {COMMAND} ask --json "Which version of gitleaks is used?"
    """
    unshare = shutil.which("unshare")
    assert unshare, "install util-linux"
    done = subprocess.run(
        [unshare, "--net", "sh", "-ec", script],
        cwd=ROOT,
        env=os.environ | {"LLM_TWIN_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    if "Operation not permitted" in done.stderr:
        pytest.skip("no right to make a network namespace")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout[done.stdout.index("{") :])
    assert "8.30.1" in answer["text"]
    assert answer["citations"][0]["source"].startswith("docs/")
    assert answer["model"] == "SmolLM2-135M-Instruct"
    assert answer["problem"] is None
