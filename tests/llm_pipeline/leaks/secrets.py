"""The kinds of secrets that this stack leaks, each made up at test time.

Nothing in this package is a secret or scans as one: what would be told by its prefix is put
together from a prefix and random characters.
"""

from . import keyfiles, passwords, services
from .made import ALNUM, BASE32, BASE64, HEX, UPPER_DIGITS, URLSAFE, Maker
from .passwords import url
from .services import checksummed, named, one_of, token

_SQLALCHEMY = (
    "postgresql+asyncpg",
    "postgresql+psycopg2",
    "mysql+pymysql",
    "mssql+pyodbc",
    "mariadb+mariadbconnector",
)
_OPIK = (
    'opik.configure(api_key="KEY", workspace="twin")',
    'experiment = comet_ml.start(\n    api_key="KEY",\n    project_name="twin",\n)',
    "[comet]\napi_key = KEY\nworkspace = twin",
)
_QDRANT = (
    'client = QdrantClient(\n    url="https://x.cloud.qdrant.io:6333",\n    api_key="KEY",\n)',
    'qdrant:\n  url: https://x.cloud.qdrant.io\n  api_key: "KEY"',
)

KINDS: dict[str, Maker] = {
    "postgresql URL": url("DATABASE_URL", "postgres", "postgresql"),
    "mysql URL": url("DATABASE_URL", "mysql", "mariadb"),
    "mongodb URL": url("MONGO_URI", "mongodb", "mongodb+srv", tail="/twin?retryWrites=true"),
    "redis URL": url("REDIS_URL", "redis", "rediss", tail="/0"),
    "amqp URL": url("CELERY_BROKER_URL", "amqp", "amqps", tail="//"),
    "sqlalchemy URL": url("SQLALCHEMY_DATABASE_URI", *_SQLALCHEMY),
    "package index URL": url("PIP_INDEX_URL", "https", tail="/simple"),
    "database password": passwords.database_password,
    "connection string": passwords.connection_string,
    "netrc": passwords.netrc,
    "zenml": services.zenml,
    "dagger cloud": services.dagger_cloud,
    "comet and opik": named(ALNUM, 25, "OPIK_API_KEY", "COMET_API_KEY", snippets=_OPIK),
    "qdrant": named(URLSAFE, 54, "QDRANT_API_KEY", "QDRANT_CLOUD_API_KEY", snippets=_QDRANT),
    "discord webhook": services.discord_webhook,
    "discord bot": services.discord_bot,
    "slack webhook": services.slack_webhook,
    "slack token": services.slack_token,
    "slack session": services.slack_session,
    "telegram bot": services.telegram,
    "hugging face": token("HF_TOKEN", "hf_", ALNUM, 34),
    "openai": services.openai,
    "anthropic": token("ANTHROPIC_API_KEY", "sk-ant-" + "api03-", URLSAFE, 93, "AA"),
    "groq": token("GROQ_API_KEY", "gsk_", ALNUM, 52),
    "replicate": token("REPLICATE_API_TOKEN", "r8_", ALNUM, 37),
    "openrouter": token("OPENROUTER_API_KEY", "sk-or-" + "v1-", HEX, 64),
    "cohere": named(ALNUM, 40, "COHERE_API_KEY", "CO_API_KEY"),
    "mistral": named(ALNUM, 32, "MISTRAL_API_KEY"),
    "weights and biases": named(HEX, 40, "WANDB_API_KEY"),
    "aws access key": one_of(
        token("AWS_ACCESS_KEY_ID", "AK" + "IA", BASE32, 16),
        token("AWS_ACCESS_KEY_ID", "AK" + "IA", UPPER_DIGITS, 16),
    ),
    "aws secret key": named(BASE64, 40, "AWS_SECRET_ACCESS_KEY", "aws_secret_access_key"),
    "aws session token": services.aws_session,
    "google api key": token("GOOGLE_API_KEY", "AI" + "za", URLSAFE, 35),
    "google service account": keyfiles.service_account,
    "azure storage": services.azure_storage,
    "github": one_of(
        checksummed("GITHUB_TOKEN", "ghp", "gho", "ghs", "ghu", "ghr"),
        services.github_fine_grained,
    ),
    "gitlab": token("GITLAB_TOKEN", "gl" + "pat-", URLSAFE, 20),
    "pypi": services.pypi,
    "npm": checksummed("NPM_TOKEN", "npm"),
    "docker hub": token("DOCKER_TOKEN", "dckr_" + "pat_", URLSAFE, 27),
    "stripe": token("STRIPE_SECRET_KEY", "sk_" + "live_", ALNUM, 24),
    "sendgrid": services.sendgrid,
    "private key": keyfiles.private_key,
    "jwt": keyfiles.jwt,
}
