"""The places where secrets leak, each with clean lines around the one that matters."""

import json
from dataclasses import dataclass
from random import Random

from .made import Made, to_base64
from .secrets import KINDS


def _notebook(*source: str) -> str:
    cell = {
        "cell_type": "code",
        "execution_count": 1,
        "metadata": {},
        "outputs": [],
        "source": [line + "\n" for line in source],
    }
    return json.dumps({"cells": [cell], "nbformat": 4, "nbformat_minor": 5}, indent=1)


# File name and text around NAME and VALUE; the name of the variable stands beside the value.
_NAMED: tuple[tuple[str, str], ...] = (
    (".env", "LOG_LEVEL=info\nNAME=VALUE\nPORT=8080\n"),
    (".env.prod", '# production\nNAME="VALUE"\n'),
    ("set.sh", "#!/bin/sh\nset -eu\nexport NAME='VALUE'\nexec python -m app\n"),
    ("run.sh", "NAME=VALUE python train.py --epochs 3\n"),
    ("start.sh", "docker run --rm -e NAME=VALUE -p 8080:8080 twin:latest\n"),
    ("deploy.sh", 'gcloud run deploy --set-env-vars "REGION=eu,NAME=VALUE,DEBUG=0"\n'),
    ("settings.py", 'import os\n\nNAME = "VALUE"\nDEBUG = False\n'),
    ("env.py", 'import os\n\nos.environ["NAME"] = "VALUE"\n'),
    ("default.py", "import os\n\nkey = os.environ.get('NAME', 'VALUE')\n"),
    (
        "typed.py",
        'class Settings(BaseSettings):\n    NAME: str = "VALUE"\n    debug: bool = False\n',
    ),
    ("secret.py", 'class Settings(BaseSettings):\n    NAME: SecretStr = SecretStr("VALUE")\n'),
    ("kwargs.py", 'run(env={"NAME": "VALUE", "DEBUG": "1"})\n'),
    ("config.yaml", "server:\n  port: 80\n  NAME: VALUE\n  debug: false\n"),
    ("quoted.yml", "env:\n  NAME: 'VALUE'\n"),
    ("pod.yaml", "    env:\n      - name: NAME\n        value: VALUE\n      - name: PORT\n"),
    ("secret.yaml", "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\ndata:\n  NAME: ENCODED\n"),
    ("compose.yaml", "services:\n  api:\n    environment:\n      - NAME=VALUE\n      - PORT=80\n"),
    ("config.json", '{\n  "debug": false,\n  "NAME": "VALUE",\n  "port": 80\n}\n'),
    ("task.json", '{"environment": [{"name": "NAME", "value": "VALUE"}]}\n'),
    ("config.toml", '[app]\nNAME = "VALUE"\nport = 80\n'),
    ("app.ini", "[app]\nNAME = VALUE\nport = 80\n"),
    ("Dockerfile", 'FROM python:3.12-slim\nENV NAME=VALUE\nCMD ["app"]\n'),
    ("Dockerfile.old", "FROM python:3.12-slim\nENV NAME VALUE\nWORKDIR /app\n"),
    ("README.md", "# Set-up\n\nSet `NAME=VALUE` and run `make`.\n"),
    ("guide.md", "```bash\nexport NAME=VALUE\n```\n"),
    ("table.md", "| Variable | Value |\n| --- | --- |\n| NAME | VALUE |\n"),
    ("main.tf", 'environment {\n  variables = {\n    NAME = "VALUE"\n  }\n}\n'),
    ("app.xml", '<settings>\n  <add key="NAME" value="VALUE" />\n</settings>\n'),
)
# The value alone: its form must tell it.
_BARE: tuple[tuple[str, str], ...] = (
    ("call.py", 'client = Client("VALUE", timeout=30)\n'),
    ("keyword.py", "client = connect(target='VALUE')\n"),
    ("list.json", '["VALUE", "other"]\n'),
    ("notes.md", "It works with VALUE, but rotate it.\n"),
    ("link.md", "See (VALUE) for the rest.\n"),
    ("app.log", "2026-01-31 12:00:00 INFO starting with VALUE\n"),
    ("app.html", "<code>VALUE</code>\n"),
    ("secret.txt", "VALUE"),
    ("variables.tf", 'variable "x" {\n  default = "VALUE"\n}\n'),
    ("test.yaml", "run: curl --fail 'VALUE'\n"),
)


def _notebooks(rng: Random, made: Made) -> tuple[str, str]:
    line = rng.choice(
        [
            f'os.environ["{made.name}"] = "{made.text}"',
            f"%env {made.name}={made.text}",
            f"!export {made.name}='{made.text}' && python train.py",
        ],
    )
    return "notebook.ipynb", _notebook("import os", line, "print(1)")


@dataclass(frozen=True)
class Leak:
    """A file that leaks one secret."""

    kind: str
    secret: str
    text: str


def embed(rng: Random, made: Made) -> tuple[str, str]:
    """Return the name and the content of a file that leaks `made`."""
    if made.snippets:
        name = rng.choice(["notes.txt", "app.conf", "settings.yaml", "leak.py"])
        return name, f"# before\n{rng.choice(made.snippets)}\n# after\n"
    places = _NAMED if made.told_by_name else _NAMED + _BARE
    at = rng.randrange(len(places) + 3)
    if at >= len(places):
        return _notebooks(rng, made)
    name, text = places[at]
    encoded = to_base64(made.text.encode())
    text = text.replace("NAME", made.name).replace("ENCODED", encoded).replace("VALUE", made.text)
    return name, text


def plant(seed: int, each: int) -> dict[str, Leak]:
    """Return files by path that leak `each` secrets of every kind, the same for the same seed."""
    rng = Random(seed)  # noqa: S311 - made-up secrets must not differ between runs
    planted = {}
    for number, (kind, make) in enumerate(KINDS.items()):
        for turn in range(each):
            made = make(rng)
            name, text = embed(rng, made)
            planted[f"kind{number:02}/{turn:02}/{name}"] = Leak(kind, made.secret, text)
    return planted
