"""Made-up keys and tokens in the forms of the services that hand them out."""

import json
import string
import uuid
import zlib
from random import Random

from .made import (
    ALNUM,
    BASE64,
    HEX,
    UPPER_DIGITS,
    URLSAFE,
    Made,
    Maker,
    chars,
    to_base64,
    to_urlsafe,
)


def token(name: str, prefix: str, alphabet: str, count: int, end: str = "") -> Maker:
    """Return a maker of tokens that a prefix tells."""

    def make(rng: Random) -> Made:
        text = prefix + chars(rng, alphabet, count) + end
        return Made(name, text, text)

    return make


def named(alphabet: str, count: int, *names: str, snippets: tuple[str, ...] = ()) -> Maker:
    """Return a maker of keys that only a name beside them tells; KEY in `snippets` is the key."""

    def make(rng: Random) -> Made:
        text = chars(rng, alphabet, count)
        own = tuple(snippet.replace("KEY", text) for snippet in snippets)
        own = own if rng.random() < 1 / 3 else ()
        return Made(rng.choice(names), text, text, told_by_name=True, snippets=own)

    return make


def one_of(*makers: Maker) -> Maker:
    """Return a maker that takes one of `makers` each time."""
    return lambda rng: rng.choice(makers)(rng)


def checksummed(name: str, *prefixes: str) -> Maker:
    """Return a maker of GitHub's and npm's form: it ends in a CRC-32, six characters in base 62."""
    digits = string.digits + string.ascii_uppercase + string.ascii_lowercase

    def make(rng: Random) -> Made:
        body = chars(rng, ALNUM, 30)
        number = zlib.crc32(body.encode())
        check = "".join(digits[number // 62**power % 62] for power in reversed(range(6)))
        text = f"{rng.choice(prefixes)}_{body}{check}"
        return Made(name, text, text)

    return make


def github_fine_grained(rng: Random) -> Made:
    """Return a fine-grained token of GitHub."""
    head = chars(rng, string.digits, 2) + chars(rng, UPPER_DIGITS, 20)
    text = f"github_pat_{head}_{chars(rng, ALNUM, 59)}"
    return Made("GITHUB_TOKEN", text, text)


def zenml(rng: Random) -> Made:
    """Return a key of ZenML: a prefix, then base64 of the key's id and value as JSON."""
    key = {"id": str(uuid.UUID(int=rng.getrandbits(128), version=4)), "key": chars(rng, HEX, 64)}
    text = rng.choice(["ZENKEY", "ZENPROKEY"]) + "_" + to_base64(json.dumps(key).encode())
    return Made("ZENML_STORE_API_KEY", text, text)


def dagger_cloud(rng: Random) -> Made:
    """Return a token of Dagger Cloud, which names its organisation."""
    text = f"dag_{rng.choice(['acme', 'my-company', 'team42'])}_{chars(rng, URLSAFE, 43)}"
    return Made("DAGGER_CLOUD_TOKEN", text, text)


def discord_webhook(rng: Random) -> Made:
    """Return the URL of a webhook of Discord."""
    secret = f"{rng.randint(10**17, 10**19)}/{chars(rng, URLSAFE, 68)}"
    host = rng.choice(["discord.com", "discordapp.com", "ptb.discord.com"])
    text = f"https://{host}/api/{rng.choice(['', 'v10/'])}webhooks/{secret}"
    return Made("DISCORD_WEBHOOK_URL", text, secret)


def discord_bot(rng: Random) -> Made:
    """Return a token of a bot of Discord: its number, a time and a signature."""
    number = to_urlsafe(str(rng.randint(10**17, 10**18 - 1)).encode())
    text = f"{number}.{chars(rng, URLSAFE, 6)}.{chars(rng, URLSAFE, 38)}"
    return Made("DISCORD_BOT_TOKEN", text, text, told_by_name=True)


def slack_webhook(rng: Random) -> Made:
    """Return the URL of a webhook of Slack."""
    team, app = "T" + chars(rng, UPPER_DIGITS, 8), "B" + chars(rng, UPPER_DIGITS, 10)
    secret = f"{team}/{app}/{chars(rng, ALNUM, 24)}"
    return Made("SLACK_WEBHOOK_URL", f"https://hooks.slack.com/services/{secret}", secret)


def slack_token(rng: Random) -> Made:
    """Return a token of Slack: of a bot, a user or an app."""
    one, two, three = (rng.randint(10**11, 10**13) for _ in range(3))
    text = rng.choice(
        [
            f"xoxb-{one}-{two}-{chars(rng, ALNUM, 24)}",
            f"xoxp-{one}-{two}-{three}-{chars(rng, HEX, 32)}",
            f"xapp-1-A{chars(rng, UPPER_DIGITS, 10)}-{one}-{chars(rng, HEX, 64)}",
        ],
    )
    return Made("SLACK_TOKEN", text, text)


def slack_session(rng: Random) -> Made:
    """Return a token of Slack's web application."""
    numbers = "-".join(str(rng.randint(10**11, 10**13)) for _ in range(3))
    text = f"xoxc-{numbers}-{chars(rng, HEX, 64)}"
    return Made("SLACK_SESSION", text, text)


def telegram(rng: Random) -> Made:
    """Return a token of a bot of Telegram."""
    text = f"{rng.randint(10**8, 10**10 - 1)}:AA{chars(rng, URLSAFE, 33)}"
    return Made("TELEGRAM_BOT_TOKEN", text, text)


def openai(rng: Random) -> Made:
    """Return a key of OpenAI: the old form, and those of projects and service accounts."""
    mark = "T3Blbk" + "FJ"
    text = rng.choice(
        [
            f"sk-{chars(rng, ALNUM, 20)}{mark}{chars(rng, ALNUM, 20)}",
            f"sk-proj-{chars(rng, URLSAFE, 74)}{mark}{chars(rng, URLSAFE, 74)}",
            f"sk-svcacct-{chars(rng, URLSAFE, 58)}{mark}{chars(rng, URLSAFE, 58)}",
            f"sk-proj-{chars(rng, ALNUM, 48)}",
        ],
    )
    return Made("OPENAI_API_KEY", text, text)


def pypi(rng: Random) -> Made:
    """Return an upload token of PyPI, a macaroon."""
    site = rng.choice(["AgEIcHlwaS5vcmc", "AgENdGVzdC5weXBpLm9yZw"])  # pypi.org, test.pypi.org
    text = f"pypi-{site}{chars(rng, URLSAFE, rng.randint(140, 180))}"
    return Made("TWINE_PASSWORD", text, text)


def sendgrid(rng: Random) -> Made:
    """Return a key of SendGrid."""
    text = f"SG.{chars(rng, URLSAFE, 22)}.{chars(rng, URLSAFE, 43)}"
    return Made("SENDGRID_API_KEY", text, text)


def aws_session(rng: Random) -> Made:
    """Return a session token of AWS."""
    head = "IQoJb3JpZ2lu" + "X2VjE"
    text = head + chars(rng, BASE64, rng.randint(300, 700)) + rng.choice(["", "=", "=="])
    name = rng.choice(["AWS_SESSION_TOKEN", "aws_session_token"])
    return Made(name, text, text, told_by_name=True)


def azure_storage(rng: Random) -> Made:
    """Return the connection string of an Azure storage account."""
    key = to_base64(rng.randbytes(64))
    head = f"DefaultEndpointsProtocol=https;AccountName=twin{rng.randint(1, 99)}"
    text = f"{head};AccountKey={key};EndpointSuffix=core.windows.net"
    return Made("AZURE_STORAGE_CONNECTION_STRING", text, key)
