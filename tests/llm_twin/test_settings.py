"""Settings: what wins, what is refused, and that no value is in an error."""

from pathlib import Path

import pytest
from platformdirs import user_data_dir

from llm_twin.settings import MASK, Loaded, SettingsError, load

PLAIN = [
    *("HOME", "LOG_LEVEL"),
    *("CORPUS_AUTHORS", "CORPUS_MASK", "CORPUS_DRAFTS", "CORPUS_NEAR_DUPLICATES"),
    *("CORPUS_MAX_FILE_MB", "CORPUS_MAX_SECONDS", "CORPUS_TEXT_FIELDS", "CORPUS_TITLE_FIELDS"),
    *("CORPUS_AUTHOR_FIELDS", "CORPUS_DATE_FIELDS", "CORPUS_URL_FIELDS"),
    *("SERVICE_HOST", "SERVICE_PORT", "SERVICE_MODEL", "SERVICE_AUTH", "SERVICE_ALLOWED_HOSTS"),
    *("SERVICE_CORS_ORIGINS", "SERVICE_TRUSTED_PROXIES", "SERVICE_BODY_BYTES", "SERVICE_MESSAGES"),
    *("SERVICE_CHARACTERS", "SERVICE_MAX_TOKENS", "SERVICE_RATE", "SERVICE_CONCURRENCY"),
    *("SERVICE_QUEUE", "SERVICE_QUEUE_SECONDS", "SERVICE_BODY_SECONDS", "SERVICE_ANSWER_SECONDS"),
    "SERVICE_DRAIN_SECONDS",
    *("MODEL_URL", "MODEL_NAME"),
    *("EMBEDDINGS_URL", "EMBEDDINGS_NAME"),
    "QDRANT_URL",
    *("ANSWERS_MODE", "ANSWERS_PASSAGES", "ANSWERS_MAX_TOKENS", "ANSWERS_TEMPERATURE"),
    *("ANSWERS_PARALLEL", "ANSWERS_QUEUE_TIMEOUT", "ANSWERS_TOKEN_TIMEOUT", "ANSWERS_TIMEOUT"),
    *("OPIK_URL", "OPIK_PROJECT", "OPIK_WORKSPACE", "OPIK_TIMEOUT"),
    *("TRACING_ENVIRONMENT", "TRACING_IMAGE", "TRACING_COMMIT", "TRACING_MAX_MEGABYTES"),
    *("TRACING_MAX_DAYS", "TRACING_WHEN_FULL", "TRACING_INPUT_PRICE", "TRACING_OUTPUT_PRICE"),
    "ZENML_STORE_URL",
]
SECRETS = [
    "SERVICE_API_KEYS",
    "MODEL_API_KEY",
    "EMBEDDINGS_API_KEY",
    "QDRANT_API_KEY",
    "OPIK_API_KEY",
    "ZENML_STORE_API_KEY",
]
# What a test can't derive from a setting's name, because not every text is allowed.
VALUES = {"SERVICE_PORT": "81", "LOG_LEVEL": "error", "HOME": "/data"}
VALUES |= {"SERVICE_AUTH": "required", "SERVICE_CORS_ORIGINS": "https://example.com"}
VALUES |= {"SERVICE_RATE": "5/second", "SERVICE_BODY_BYTES": "6", "SERVICE_MESSAGES": "7"}
VALUES |= {"SERVICE_CHARACTERS": "8", "SERVICE_MAX_TOKENS": "9", "SERVICE_CONCURRENCY": "10"}
VALUES |= {"SERVICE_QUEUE": "0", "SERVICE_QUEUE_SECONDS": "1.5", "SERVICE_BODY_SECONDS": "2.5"}
VALUES |= {"SERVICE_ANSWER_SECONDS": "3.5", "SERVICE_DRAIN_SECONDS": "4.5"}
VALUES |= {"CORPUS_MASK": "key", "CORPUS_DRAFTS": "True", "CORPUS_NEAR_DUPLICATES": "0.5"}
VALUES |= {"ANSWERS_MODE": "extractive", "ANSWERS_PASSAGES": "2", "ANSWERS_MAX_TOKENS": "3"}
VALUES |= {"ANSWERS_TEMPERATURE": "0.5", "ANSWERS_PARALLEL": "4", "ANSWERS_TIMEOUT": "7.5"}
VALUES |= {"ANSWERS_QUEUE_TIMEOUT": "5.5", "ANSWERS_TOKEN_TIMEOUT": "6.5"}
VALUES |= {"OPIK_TIMEOUT": "1.5", "TRACING_MAX_MEGABYTES": "5", "TRACING_MAX_DAYS": "6"}
VALUES |= {"TRACING_WHEN_FULL": "refuse", "TRACING_INPUT_PRICE": "0.5"}
VALUES |= {"TRACING_OUTPUT_PRICE": "0.0"}
VALUES |= {"CORPUS_MAX_FILE_MB": "3", "CORPUS_MAX_SECONDS": "4"}


@pytest.fixture(autouse=True)
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, so that no file of the developer's is read."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shown(loaded: Loaded) -> dict[str, tuple[str | bool | float | None, str]]:
    """Name to value and origin."""
    return {row.name: (row.value, row.origin) for row in loaded.origins}


def refused(file: Path | None = None) -> str:
    """The message of the settings that are refused."""
    with pytest.raises(SettingsError) as caught:
        load(file)
    return str(caught.value)


def test_every_setting_is_listed_once() -> None:
    """The variables that exist are exactly those that the tests of this file know."""
    variables = [row.name.replace(".", "_").upper() for row in load().origins]
    assert sorted(variables) == sorted(PLAIN + SECRETS)


def test_defaults() -> None:
    """With no variable and no file everything is a default, and nothing outside is named."""
    rows = shown(load())
    assert {origin for _, origin in rows.values()} == {"default"}
    assert rows["service.host"] == ("127.0.0.1", "default")
    assert rows["service.port"] == (8000, "default")
    assert rows["home"] == (user_data_dir("llm-twin"), "default")
    assert all(value is None for name, (value, _) in rows.items() if name.endswith(("url", "key")))


def test_variable_beats_file_beats_default(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each setting comes from the first of variable, file and default that has it."""
    (workdir / "llm-twin.toml").write_text('log_level = "debug"\n[service]\nport = 1\n')
    monkeypatch.setenv("LLM_TWIN_SERVICE_PORT", "2")
    rows = shown(load())
    assert rows["service.port"] == (2, "LLM_TWIN_SERVICE_PORT")
    assert rows["log_level"] == ("debug", "llm-twin.toml")
    assert rows["service.host"] == ("127.0.0.1", "default")


def test_every_variable_reaches_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each variable sets the setting that is named like it, and no other."""
    for name in PLAIN + SECRETS:
        default = "https://example.invalid/v1" if name.endswith("URL") else name.lower()
        monkeypatch.setenv(f"LLM_TWIN_{name}", VALUES.get(name, default))
    loaded = load()
    for row in loaded.origins:
        variable = row.name.replace(".", "_").upper()
        assert row.origin == f"LLM_TWIN_{variable}"
        if variable in SECRETS:
            assert row.value == MASK
        elif not variable.endswith("URL"):
            assert str(row.value) == VALUES.get(variable, variable.lower())
    key = loaded.settings.zenml.store_api_key
    assert key is not None
    assert key.get_secret_value() == "zenml_store_api_key"


def test_file_named_by_argument_beats_variable(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The argument beats `LLM_TWIN_CONFIG`, which beats `llm-twin.toml`."""
    for number, name in enumerate(["llm-twin.toml", "variable.toml", "argument.toml"], 1):
        (workdir / name).write_text(f"[service]\nport = {number}\n")
    assert load().settings.service.port == 1
    monkeypatch.setenv("LLM_TWIN_CONFIG", "variable.toml")
    assert load().settings.service.port == 2
    assert load(Path("argument.toml")).settings.service.port == 3


def test_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable, as CI systems make for a missing secret, leaves the default."""
    monkeypatch.setenv("LLM_TWIN_MODEL_API_KEY", "")
    assert load().settings.model.api_key is None


@pytest.mark.parametrize("name", PLAIN + SECRETS)
def test_no_value_is_in_an_error(name: str, canary: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong value, perhaps a key in the wrong variable, is named and not shown."""
    monkeypatch.setenv(f"LLM_TWIN_{name}", f"~{canary} \n{canary}")
    message = refused()
    assert message.startswith(f"LLM_TWIN_{name}: should ")
    assert canary not in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["MODEL_API_KEY", "SERVICE_PORT", "LOG_LEVEL", "QDRANT_URL"])
def test_variable_that_is_not_utf8_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that are no text are refused with the variable's name."""
    monkeypatch.setenv(f"LLM_TWIN_{name}", "\udcff")
    assert refused().startswith(f"LLM_TWIN_{name}: should ")


@pytest.mark.parametrize(
    "value",
    [
        "localhost:6333",
        "ftp://host",
        "http://",
        "http://[x",
        "http://host:0",
        "http://host:99999",
        "http://a b",
        "http://user:{canary}@host",
        "http://{canary}@host",
        "https://host/?key={canary}",
        "https://host/#{canary}",
    ],
)
def test_url_that_is_refused(value: str, canary: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that can't be used, or could hold a secret, is refused and not shown."""
    monkeypatch.setenv("LLM_TWIN_QDRANT_URL", value.format(canary=canary))
    message = refused()
    assert message.startswith("LLM_TWIN_QDRANT_URL: should be a URL ")
    assert canary not in message


@pytest.mark.parametrize("value", ["0", "65536", "-1", "1e3", "8000.0", "٣", "1" * 5000])
def test_port_that_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port has to be a whole number that a port can be."""
    monkeypatch.setenv("LLM_TWIN_SERVICE_PORT", value)
    assert refused() == "LLM_TWIN_SERVICE_PORT: should be a whole number from 1 to 65535"


def test_several_problems_are_all_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """One run tells everything that is wrong with the values, a line each."""
    monkeypatch.setenv("LLM_TWIN_SERVICE_PORT", "x")
    monkeypatch.setenv("LLM_TWIN_LOG_LEVEL", "loud")
    assert refused().splitlines() == [
        "LLM_TWIN_LOG_LEVEL: should be 'debug', 'info', 'warning' or 'error'",
        "LLM_TWIN_SERVICE_PORT: should be a whole number from 1 to 65535",
    ]


def test_unknown_variable_names_the_close_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt variable is an error, with the one that was meant."""
    monkeypatch.setenv("LLM_TWIN_QDRANT_APIKEY", "x")
    assert (
        refused()
        == "LLM_TWIN_QDRANT_APIKEY: no such setting; did you mean LLM_TWIN_QDRANT_API_KEY?"
    )


def test_unknown_variable_like_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is like no other says where the known ones are listed."""
    monkeypatch.setenv("LLM_TWIN_ZZZZZZZZZZZZ", "x")
    assert refused() == "LLM_TWIN_ZZZZZZZZZZZZ: no such setting; `llm-twin settings` lists them all"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("lgo_level = 1", "lgo_level: no such setting; did you mean log_level?"),
        ("[model]\nulr = 1", "model.ulr: no such setting; did you mean model.url?"),
        ("model = 1", "model: should be a table, [model]"),
        ("log_level = 1", "log_level: should be 'debug', 'info', 'warning' or 'error'"),
        ("[service]\nport = true", "service.port: should be a whole number from 1 to 65535"),
        ("[service]\nport = 80.0", "service.port: should be a whole number from 1 to 65535"),
        ("[service]\nhost = ''", "service.host: should be one line of text"),
        ("[model]\nurl = ['x']", "model.url: should be a valid string"),
        ("home = 1", "home: should be a path"),
        ("[opik]\ntimeout = 0", "opik.timeout: should be a number of seconds above 0"),
        ("[opik]\ntimeout = true", "opik.timeout: should be a number that is not negative"),
        ("[tracing]\nmax_days = 0", "tracing.max_days: should be a whole number from 1"),
        ("[tracing]\ninput_price = nan", "tracing.input_price: should be a number that is not"),
        ("[tracing]\nwhen_full = 'x'", "tracing.when_full: should be 'drop' or 'refuse'"),
        ("[model", "is not valid TOML: "),
    ],
)
def test_file_that_is_refused(text: str, problem: str, workdir: Path) -> None:
    """What is wrong in the file is told with the file, the key and what is allowed."""
    file = workdir / "settings.toml"
    file.write_text(text)
    message = refused(file)
    assert message.startswith(f"{file}: {problem}")
    assert "\n" not in message


def test_secret_in_the_file_is_refused(workdir: Path, canary: str) -> None:
    """A secret in a file is refused; the error names the variable and not the value."""
    file = workdir / "settings.toml"
    file.write_text(f'[opik]\napi_key = "{canary}"\n')
    message = refused(file)
    assert "set LLM_TWIN_OPIK_API_KEY instead" in message
    assert canary not in message


def test_file_that_can_not_be_read(workdir: Path) -> None:
    """A missing file, a folder and bytes that are no text each have a message of one line."""
    (workdir / "latin.toml").write_bytes(b"home = '\xff'")
    assert refused(workdir / "none.toml").endswith("can't be read: No such file or directory")
    assert refused(workdir).endswith("can't be read: Is a directory")
    assert refused(workdir / "latin.toml").endswith("is not UTF-8 text")


def test_secret_is_not_in_a_representation(canary: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings can be printed or logged by mistake without showing a secret."""
    for name in SECRETS:
        monkeypatch.setenv(f"LLM_TWIN_{name}", canary)
    loaded = load()
    assert canary not in f"{loaded!r} {loaded!s} {loaded.settings.model_dump_json()}"


def test_dotenv_beats_file_and_not_the_process(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`.env` stands between the process's variables and the file; other programs' are ignored."""
    (workdir / "llm-twin.toml").write_text("[service]\nport = 1\nhost = 'a'\n[model]\nname = 'f'\n")
    (workdir / ".env").write_text(
        "# ours\nexport LLM_TWIN_SERVICE_PORT='2'\nLLM_TWIN_SERVICE_HOST=b # why\nOTHER=x\n"
        "LLM_TWIN_MODEL_API_KEY=k\nLLM_TWIN_LOG_LEVEL=\n"
    )
    monkeypatch.setenv("LLM_TWIN_SERVICE_HOST", "c")
    rows = shown(load())
    assert rows["service.port"] == (2, ".env")
    assert rows["service.host"] == ("c", "LLM_TWIN_SERVICE_HOST")
    assert rows["model.name"] == ("f", "llm-twin.toml")
    assert rows["model.api_key"] == (MASK, ".env")
    assert rows["log_level"] == ("info", "default")


def test_dotenv_names_the_file(workdir: Path) -> None:
    """`LLM_TWIN_CONFIG` counts in `.env` too."""
    (workdir / "other.toml").write_text("[service]\nport = 3\n")
    (workdir / ".env").write_text("LLM_TWIN_CONFIG=other.toml\n")
    assert load().settings.service.port == 3


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"LLM_TWIN_LGO_LEVEL=1", "LLM_TWIN_LGO_LEVEL: no such setting; did you mean"),
        (b"LLM_TWIN_SERVICE_PORT={canary}", "LLM_TWIN_SERVICE_PORT: should be a whole number"),
        (b"A=1\n'{canary}\n", "line 2: should be NAME=value"),
        (b"A=\xff{canary}", "is not UTF-8 text"),
    ],
)
def test_dotenv_that_is_refused(workdir: Path, content: bytes, problem: str, canary: str) -> None:
    """What is wrong in `.env` is told with the file and no value."""
    (workdir / ".env").write_bytes(content.replace(b"{canary}", canary.encode()))
    message = refused()
    assert message.startswith(f".env: {problem}")
    assert canary not in message
    assert "\n" not in message


def test_lists_have_commas_in_variables(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list is a text with commas in a variable and an array in the file; `none` masks nothing."""
    monkeypatch.setenv("LLM_TWIN_CORPUS_AUTHORS", "Ada Lovelace, ada@example.com,")
    monkeypatch.setenv("LLM_TWIN_CORPUS_MASK", "none")
    (workdir / "llm-twin.toml").write_text("[corpus]\ntext_fields = ['a', 'b.c']\n")
    loaded = load()
    assert loaded.settings.corpus.authors == ("Ada Lovelace", "ada@example.com")
    assert loaded.settings.corpus.mask == ()
    assert shown(loaded)["corpus.text_fields"] == ("a, b.c", "llm-twin.toml")
    monkeypatch.setenv("LLM_TWIN_CORPUS_MASK", "phone,e-mail")
    assert load().settings.corpus.mask == ("e-mail", "phone")
    monkeypatch.setenv("LLM_TWIN_CORPUS_MASK", "phone,mail")
    assert refused() == "LLM_TWIN_CORPUS_MASK: should be some of e-mail, phone, key, or none"
