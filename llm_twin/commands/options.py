"""Options that several subcommands share."""

from pathlib import Path
from typing import Final

import click

CONFIG: Final = click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The TOML file, in place of $LLM_TWIN_CONFIG and ./llm-twin.toml.",
)
JSON: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
