"""The task runners that people use for this, each set up as its documentation says."""

import json
import shlex
from pathlib import Path

from benchmarks.host import BIN, Ground
from benchmarks.timing import Contestant


def peers(ground: Ground) -> list[Contestant]:
    """Return the contestants; each runs the same commands with the same environment on PATH."""
    folder = ground.work / "peers"
    folder.mkdir(exist_ok=True)
    scripts: dict[str, str] = {}
    for planned, command in ground.commands():
        script = folder / f"{planned.name}.sh"
        # Some runners put an environment of their own first.
        path = f"export PATH={shlex.quote(ground.env['PATH'])}"
        script.write_text(f"{path}\ncd {shlex.quote(str(ground.source))}\n{command}\n")
        scripts[planned.name] = str(script)
    return [
        _nox(ground, folder, scripts),
        _tox(ground, folder, scripts),
        _hooks(ground, folder, scripts, "prek"),
        _hooks(ground, folder, scripts, "pre-commit"),
    ]


def _nox(ground: Ground, folder: Path, scripts: dict[str, str]) -> Contestant:
    sessions = "".join(
        f"\n@nox.session(venv_backend='none', name={name!r})\n"
        f"def {name}_(session):\n    session.run('sh', {script!r}, external=True)\n"
        for name, script in scripts.items()
    )
    file = folder / "noxfile.py"
    file.write_text(f"import nox\n{sessions}")
    return Contestant("nox", [str(BIN / "nox"), "-f", str(file)], ground.source, ground.env)


def _tox(ground: Ground, folder: Path, scripts: dict[str, str]) -> Contestant:
    names = list(scripts)
    lines = [
        "[tox]",
        f"envlist = {','.join(names)}",
        "no_package = true",
        f"work_dir = {folder}/tox",
    ]
    for name, script in scripts.items():
        lines += [f"[testenv:{name}]", "skip_install = true", "allowlist_externals = sh"]
        lines += ["pass_env = *", f"set_env = PATH={ground.env['PATH']}", f"commands = sh {script}"]
        if name == "test":
            lines.append(f"depends = {','.join(other for other in names if other != name)}")
    file = folder / "tox.ini"
    file.write_text("\n".join([*lines, ""]))
    argv = [str(BIN / "tox"), "run-parallel", "-q", "-c", str(file), "--root", str(folder)]
    return Contestant("tox with uv", argv, ground.source, ground.env)


def _hooks(ground: Ground, folder: Path, scripts: dict[str, str], tool: str) -> Contestant:
    hooks = [
        {
            "id": name,
            "name": name,
            "language": "system",
            "entry": f"sh {script}",
            "pass_filenames": False,
            "always_run": True,
        }
        for name, script in scripts.items()
    ]
    file = folder / "hooks.yaml"
    # JSON is YAML.
    file.write_text(json.dumps({"repos": [{"repo": "local", "hooks": hooks}]}))
    argv = [str(BIN / tool), "run", "--all-files", "--config", str(file)]
    return Contestant(tool, argv, ground.source, ground.env)
