"""What AWS answers when something is wrong, as sentences that say what to do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from llm_pipeline.cd.oidc import claims
from llm_pipeline.display import one_line
from llm_pipeline.errors import LookError

AUDIENCE: Final = "sts.amazonaws.com"
"""For whom GitHub's token has to be."""
_DENIED: Final = re.compile(r"not authorized to perform:? ([\w-]+:\w+)(?: on resource:? (\S+))?")


@contextmanager
def aws_errors(doing: str, token: str | None = None) -> Iterator[None]:
    """Turn what boto3 raises into a sentence that says what to do.

    Args:
        doing: What is being done: "log in to the registry".
        token: The workflow's token, whose subject a message on a role names.

    Raises:
        LookError: Whatever boto3 raised.
    """
    from botocore import exceptions

    try:
        yield
    except exceptions.ClientError as error:
        raise LookError(f"Can't {doing}: {_explain(error, token)}") from None
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError):
        advice = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or `cd.role`"
        raise LookError(f"Can't {doing}: there are no credentials of AWS; {advice}.") from None
    except exceptions.NoRegionError:
        raise LookError(f"Can't {doing}: no region is known; set AWS_REGION.") from None
    except exceptions.BotoCoreError as error:
        said = one_line(str(error)).rstrip(".")
        raise LookError(f"Can't {doing}: {said}. Check the network and run it again.") from None


_CODES: Final = {
    "ExpiredToken": "the credentials of AWS have expired; get new ones and run it again.",
    "RequestExpired": "AWS finds the request too old: this machine's clock is wrong; set it.",
    "UnrecognizedClientException": "AWS does not know these credentials; check them.",
    "Throttling": "AWS is asked too often; wait some minutes and run it again.",
    "RepositoryNotFoundException": (
        "there is no such repository in this region; check the name and the region in "
        "`cd.registry` and `cd.repository`, or create it."
    ),
    "IDPCommunicationError": "AWS can't reach GitHub at the moment; run it again.",
}
_SAME: Final = {
    "ExpiredTokenException": "ExpiredToken",
    "InvalidSignatureException": "RequestExpired",
    "SignatureDoesNotMatch": "RequestExpired",
    "InvalidClientTokenId": "UnrecognizedClientException",
    "InvalidAccessKeyId": "UnrecognizedClientException",
    "ThrottlingException": "Throttling",
    "TooManyRequestsException": "Throttling",
    "RequestLimitExceeded": "Throttling",
}


def _explain(error: Any, token: str | None) -> str:  # noqa: ANN401 - botocore has no types here
    told = error.response.get("Error", {})
    code, said = str(told.get("Code", "")), one_line(str(told.get("Message", ""))).rstrip(".")
    if code.startswith(("AccessDenied", "Unauthorized")) or _DENIED.search(said):
        return _denied(said, token)
    if code == "InvalidIdentityToken":
        return (
            f"AWS does not take GitHub's token ({said}). The account needs GitHub as a provider "
            f"of identities, for the audience {AUDIENCE}; docs/aws.md has the command."
        )
    code = _SAME.get(code, code)
    if code == "RequestExpired" and "expired" not in said.lower() and "yet" not in said.lower():
        return f"AWS does not take the signature ({said}); check the credentials."
    if code in _CODES:
        return f"{_CODES[code]} ({said}.)" if said else _CODES[code]
    return f"AWS answers {code or 'with an error'}: {said}."


def _denied(said: str, token: str | None) -> str:
    if token is not None:
        subject = claims(token).get("sub", "unknown")
        return (
            f"AWS denies it ({said}). There may be no such role, or its trust policy does not name "
            f"the subject of this workflow, which is {one_line(str(subject))!r}; docs/aws.md has "
            "the policies for each form of subject."
        )
    match = _DENIED.search(said)
    if match is None:
        return f"AWS denies it ({said}); docs/aws.md lists the permissions that are needed."
    where = f" on {match[2]}" if match[2] else ""
    return f"AWS denies {match[1]}{where}; allow it in the role's policy (docs/aws.md has it)."
