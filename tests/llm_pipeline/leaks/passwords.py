"""Made-up passwords, in the places that programs take them from."""

import string
from random import Random

from .made import ALNUM, HEX, LOWER_DIGITS, Made, Maker, chars


def password(rng: Random) -> str:
    """Return a password of 12 to 24 characters, with a digit and a letter, as generators make."""
    alphabet = rng.choice([ALNUM, ALNUM, ALNUM + "-_.~", ALNUM + "!*+$", HEX])
    made = chars(rng, alphabet, rng.randint(12, 24) - 2)
    at = rng.randrange(len(made))
    return made[:at] + rng.choice(string.digits) + rng.choice(string.ascii_lowercase) + made[at:]


def _host(rng: Random) -> str:
    return rng.choice(
        [
            f"db-{rng.randint(1, 9)}.internal.example.com",
            f"cluster0.{chars(rng, LOWER_DIGITS, 5)}.example.net",
            f"10.{rng.randint(0, 255)}.{rng.randint(0, 255)}.{rng.randint(1, 254)}",
            "localhost",
            "postgres.production.svc.cluster.local",
            f"prod.{chars(rng, LOWER_DIGITS, 12)}.eu-west-1.rds.amazonaws.com",
        ],
    )


def url(name: str, *schemes: str, tail: str = "/app") -> Maker:
    """Return a maker of URLs that have a password."""

    def make(rng: Random) -> Made:
        user = rng.choice(["app", "llm_twin", "svc-prod", "admin", "postgres", "zenml"])
        secret = password(rng)
        port = rng.choice(["", f":{rng.randint(1024, 65535)}"])
        text = f"{rng.choice(schemes)}://{user}:{secret}@{_host(rng)}{port}{tail}"
        return Made(name, text, secret)

    return make


def database_password(rng: Random) -> Made:
    """Return a password of a database, told by the name of its variable."""
    names = (
        "POSTGRES_PASSWORD",
        "MYSQL_ROOT_PASSWORD",
        "DB_PASSWORD",
        "PGPASSWORD",
        "REDIS_PASSWORD",
    )
    secret = password(rng)
    return Made(rng.choice(names), secret, secret, told_by_name=True)


def connection_string(rng: Random) -> Made:
    """Return a connection string of key-value pairs: ADO.NET, JDBC, libpq."""
    secret = password(rng)
    text = rng.choice(
        [
            f"Server=tcp:db.example.net,1433;Database=twin;User ID=app;Password={secret};",
            f"jdbc:postgresql://db.internal:5432/twin?user=app&password={secret}&ssl=true",
            f"host=db.internal port=5432 dbname=twin user=app password={secret} sslmode=require",
        ],
    )
    return Made("CONNECTION_STRING", text, secret)


def netrc(rng: Random) -> Made:
    """Return an entry of a netrc file, as `wandb login` writes it."""
    secret = chars(rng, HEX, 40)
    text = f"machine api.wandb.ai\n  login user\n  password {secret}"
    return Made("NETRC", text, secret, snippets=(text, text.replace("\n ", "")))
