"""Finds keys, tokens and passwords in text.

The shapes are those of detect-secrets' plugins that know a shape (those that guess by entropy would
mask hashes and identifiers) and of the services that the application talks to.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Final

# A plugin, and letters of which one has to be in the text, in lower case: most texts are passed
# over without any of its patterns.
_PLUGINS: Final[Mapping[str, tuple[str, ...]]] = {
    "aws.AWSKeyDetector": ("akia", "asia", "abia", "acca", "a3t", "aws"),
    "azure_storage_key.AzureStorageKeyDetector": ("accountkey=",),
    "cloudant.CloudantDetector": ("cloudant",),
    "discord.DiscordBotTokenDetector": ("discord",),
    "github_token.GitHubTokenDetector": ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
    "gitlab_token.GitLabTokenDetector": ("gl", "gr1348941"),
    "ibm_cloud_iam.IbmCloudIamDetector": ("ibm", "iam"),
    "ibm_cos_hmac.IbmCosHmacDetector": ("cos_", "cos-", "hmac"),
    "mailchimp.MailchimpDetector": ("-us",),
    "npm.NpmDetector": ("_authtoken",),
    "openai.OpenAIDetector": ("sk-",),
    "pypi_token.PypiTokenDetector": ("pypi-",),
    "sendgrid.SendGridDetector": ("sg.",),
    "slack.SlackDetector": ("xox", "hooks.slack"),
    "softlayer.SoftlayerDetector": ("softlayer",),
    "square_oauth.SquareOAuthDetector": ("sq0csp",),
    "stripe.StripeDetector": ("k_live_",),
    "telegram_token.TelegramBotTokenDetector": (":aa",),
    "twilio.TwilioKeyDetector": ("ac", "sk"),
}

_TOKEN: Final = re.compile(
    r"(?<![A-Za-z0-9_])(?:"
    r"sk-ant-[\w-]{16,}"  # Anthropic
    r"|sk-(?:proj|svcacct|admin|or|lf)-[\w-]{16,}|sk-[A-Za-z0-9]{20,}"  # OpenAI
    r"|hf_[A-Za-z0-9]{20,}|api_org_[A-Za-z0-9]{20,}"  # Hugging Face
    r"|ZEN(?:PRO|SERVER)?(?:KEY|PAT|SAK)_[\w+/=.-]{12,}"  # ZenML
    r"|AIza[\w-]{30,}|ya29\.[\w.-]{20,}|GOCSPX-[\w-]{20,}"  # Google
    r"|gh[opsur]_[A-Za-z0-9]{36,}|github_pat_\w{22,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}"
    r"|glpat-[\w.-]{20,}|npm_[A-Za-z0-9]{36}|dckr_pat_[\w-]{20,}|dop_v1_[0-9a-f]{40,}"
    r"|hv[bsr]\.[\w-]{24,}|xox[abeoprs]-[\w-]{10,}|xapp-[\w-]{20,}"
    r"|[rs]k_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[\w+/=]{20,}|shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"
    r"|lsv2_(?:pt|sk)_\w{20,}|gsk_[A-Za-z0-9]{20,}|xai-[A-Za-z0-9]{20,}|r8_[A-Za-z0-9]{20,}"
    r"|pplx-[A-Za-z0-9]{20,}|nvapi-[\w-]{20,}|tvly-[\w-]{16,}|pul-[0-9a-f]{40}"
    r"|sntry[su]_[\w+/=.-]{20,}|figd_[\w-]{20,}|ATATT3[\w=-]{20,}|AGE-SECRET-KEY-1[0-9A-Z]{20,}"
    r"|eyJ[\w-]{8,}\.eyJ[\w-]{8,}(?:\.[\w-]*)?"  # JSON Web Token, RFC 7519
    r")"
)
_BLOCK: Final = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?s:.){0,10000}?-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    # One that was cut: what still looks like it.
    r"|(?:\s*(?:\\n)?[A-Za-z0-9+/=]{16,})*)"
)
_IN_URL: Final = re.compile(
    r"(?P<before>://[^\s/:@'\"<>]{0,200}:)"
    r"(?!(?:pass(?:word|wd)?|pwd?|secret|token|key|\*+|x+|\$\w+|\$?\{\w+\})@)"  # as in manuals
    r"[^\s/@'\"<>]{1,300}(?P<after>@)",
    re.IGNORECASE,
)
_USER_IN_URL: Final = re.compile(r"(?P<before>://)[\w.~+=-]{20,300}(?P<after>@)")
_BEARER: Final = re.compile(
    r"(?P<before>\b(?:bearer|basic|token|api-?key)[ \t]+)"
    r"(?=[\w.~+/=-]{0,300}\d)(?P<value>[\w.~+/-]{16,}={0,2})(?P<after>)",
    re.IGNORECASE,
)
# `<=` would be a comparison; `token` alone has to be the name's end: `max_tokens = 512` is none.
_ASSIGNED: Final = re.compile(
    r"(?P<before>(?<![\w.-])(?P<name>[\w.-]{0,60}?(?:api[_-]?key|secret[_-]?key|access[_-]?key|auth[_-]?key"
    r"|private[_-]?key|account[_-]?key|encryption[_-]?key|signing[_-]?key|client[_-]?secret|secret"
    r"|token|password|passwd|passphrase|pwd|credentials?))"
    r"(?:[\"'`]?\]?[ \t]{0,8}(?:=>|:=|={1,3}|:(?!:))[ \t]{0,8}|[ \t]+is[ \t]+))"
    r"(?P<open>[\"'`]?)(?P<value>[^\s\"'`,;<>(){}\[\]]{6,400})(?P<after>)",
    re.IGNORECASE,
)
_SECRET_WORD: Final = re.compile(r"passw|passphrase|pwd", re.IGNORECASE)
_REFERENCE: Final = re.compile(
    r"[$%*.]|your|xxx|\.\.\.|…|example|change|placeholder|redacted|dummy|none$|null$|true$|false$"
    r"|required|optional|[a-z_]+(?:\.[a-z_]+)+$|https?://|/|~|env[.:]|secrets?\.|\*+$",
    re.IGNORECASE,
)
_LONG: Final = 12
_QUICK: Final = re.compile(
    r"key|secret|token|passw|passphrase|pwd|credential|bearer|basic", re.IGNORECASE
)


@dataclass(frozen=True)
class _Plugin:
    letters: tuple[str, ...]
    patterns: tuple[re.Pattern[str], ...]


def mask(text: str, placeholder: str) -> str:
    """Return a text with each secret replaced; what stands around it is kept."""

    def keep(match: re.Match[str]) -> str:
        return f"{match['before']}{placeholder}{match['after']}"

    if "-----BEGIN" in text:
        text = _BLOCK.sub(placeholder, text)
    text = _TOKEN.sub(placeholder, text)
    if "://" in text:
        text = _USER_IN_URL.sub(keep, _IN_URL.sub(keep, text))
    low = text.lower()
    for plugin in _plugins():
        if any(letters in low for letters in plugin.letters):
            for pattern in plugin.patterns:
                text = pattern.sub(lambda match: _secret_part(match, placeholder), text)
    if _QUICK.search(low):
        text = _BEARER.sub(keep, text)
        text = _ASSIGNED.sub(lambda match: _assigned(match, placeholder), text)
    return text


@cache
def _plugins() -> tuple[_Plugin, ...]:
    return tuple(_plugin(name, letters) for name, letters in _PLUGINS.items())


def _plugin(name: str, letters: tuple[str, ...]) -> _Plugin:
    module, _, detector = name.partition(".")
    made = getattr(import_module(f"detect_secrets.plugins.{module}"), detector)()
    return _Plugin(letters, tuple(made.denylist))


def _secret_part(match: re.Match[str], placeholder: str) -> str:
    """Replace the group that holds the secret, where the pattern has one, else the whole."""
    for number in range(1, len(match.groups()) + 1):
        start, end = match.span(number)
        if end - start >= _LONG:
            offset = match.start()
            return match[0][: start - offset] + placeholder + match[0][end - offset :]
    return placeholder


def _assigned(match: re.Match[str], placeholder: str) -> str:
    value = match["value"]
    whole: str = match[0]
    if _REFERENCE.match(value):
        return whole
    digit = any(character.isdigit() for character in value)
    letter = any(character.isalpha() for character in value)
    shouted = match["name"].isupper() and "=" in match["before"]  # as in a file of variables
    if _SECRET_WORD.search(match["name"]):
        odd = digit or not value.isalnum()
        secret = odd or shouted or bool(match["open"])
    else:
        secret = (digit and letter and len(value) >= _LONG) or (shouted and len(value) >= _LONG)
    if not secret:
        return whole
    return f"{match['before']}{match['open']}{placeholder}"
