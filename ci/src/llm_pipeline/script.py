"""A check as one POSIX shell script: what both executors run.

The script runs the check's commands in order, each with its own log and exit code; where all of
them end with 0 it plants the red control's defects and runs the control's commands.
"""

import re
import shlex
from dataclasses import dataclass
from typing import Final

from llm_pipeline.model import Stage
from llm_pipeline.plan import Commands, Planned


@dataclass(frozen=True, slots=True)
class Places:
    """Where an executor keeps things; absolute paths.

    ``out``: for what the check writes; ``env``: the source's environment; ``tools``: ours;
    ``repo``: the folder with ``.git``; ``cache``: may outlast the run; ``data``: of this package.
    """

    out: str
    env: str
    tools: str
    repo: str
    cache: str
    data: str

    def fill(self, text: str) -> str:
        """Replace the placeholders in an argument; ``${out}`` is a shell's own variable."""
        known = {
            "out": self.out,
            "env": self.env,
            "repo": self.repo,
            "cache": self.cache,
            "rules": self.data,
            "data": self.data,
        }
        return _PLACEHOLDER.sub(lambda found: known[found[1]], text)


# A copy lacks the folder by which ruff knows where .gitignore counts, and actionlint its project.
_MARK_ROOT: Final = "mkdir -p .git"
_PLACEHOLDER: Final = re.compile(r"(?<!\$)\{(out|env|repo|cache|rules|data)\}")


def script(planned: Planned, places: Places) -> str:
    """Return the script of a check; it runs with the check's tree as its working directory.

    It leaves in ``places.out``: ``N.log`` and ``N.code`` for command N, ``tree`` (the working
    directory), ``version`` (a line per tool), ``python`` (where an image tells it), ``seconds``
    (start and end since boot, where the system tells), ``done`` at the end, and the same again in
    ``red`` for the red control.
    """
    out = shlex.quote(places.out)
    lines = [
        "set -u",
        'clock() { [ -r /proc/uptime ] && read -r up _ </proc/uptime && echo "$up"; }',
        f"mkdir -p {out}/red",
        f"clock >{out}/seconds",
        *(f"export {name}={shlex.quote(value)}" for name, value in planned.env),
        f"export COVERAGE_FILE={out}/.coverage",
        f'echo "${{PYTHON_VERSION:-}}" >{out}/python',
        *_versions(planned, places),
        f"pwd >{out}/tree",
        f"cp {out}/tree {out}/red/tree",
        *([_MARK_ROOT] if planned.check.stage is Stage.STATIC and not planned.check.git else []),
        *_run(planned.commands, places),
        f"clock >>{out}/seconds",
    ]
    if planned.red:
        red = Places(
            f"{places.out}/red", places.env, places.tools, places.repo, places.cache, places.data
        )
        passed = " && ".join(
            f'[ "$(cat {out}/{number}.code)" = 0 ]' for number in range(len(planned.commands))
        )
        lines += [
            f"if {passed}; then",
            f"export COVERAGE_FILE={out}/red/.coverage",
            *(line for path, content in planned.plants for line in _plant(path, content)),
            *_run(planned.red, red),
            f"clock >>{out}/seconds",
            "fi",
        ]
    return "\n".join([*lines, f"echo done >{out}/done", "exit 0", ""])


def _run(commands: Commands, places: Places) -> list[str]:
    out = shlex.quote(places.out)
    lines = []
    for number, command in enumerate(commands):
        words = shlex.join(places.fill(word) for word in command)
        lines += [
            # In a shell of its own and past its builtins: `exit` and `A=b` are commands as well.
            f"(exec {words}) >{out}/{number}.log 2>&1 </dev/null",
            f"echo $? >{out}/{number}.code",
        ]
    return lines


def _plant(path: str, content: str) -> list[str]:
    quoted = shlex.quote(f"./{path}")
    folder = shlex.quote(f"./{path}".rpartition("/")[0])
    return [f"mkdir -p {folder}", f"printf '%s' {shlex.quote(content)} >{quoted}"]


def _versions(planned: Planned, places: Places) -> list[str]:
    """Installed versions, read from the names of metadata folders: no process is started."""
    if planned.check.git:  # a binary, whose version the executor knows
        return [f'echo "gitleaks ${{GITLEAKS_VERSION:-}}" >{shlex.quote(places.out)}/version']
    lines = []
    for tool in planned.check.tools:
        called = any(tool.removesuffix("-kjanat") in " ".join(words) for words in planned.commands)
        if len(planned.check.tools) > 1 and not called:
            continue
        folder = tool.replace("-", "_")
        globs = " ".join(
            f"{shlex.quote(base)}/lib/python*/site-packages/{folder}-*.dist-info"
            for base in (places.env, *places.tools.split(":"))
        )
        lines += [
            f"for found in {globs}; do",
            (
                f'  [ -d "$found" ] && found=${{found##*/{folder}-}} && '
                f'echo {tool.removesuffix("-kjanat")} "${{found%.dist-info}}" '
                f">>{shlex.quote(places.out)}/version && break"
            ),
            "done",
        ]
    return lines
