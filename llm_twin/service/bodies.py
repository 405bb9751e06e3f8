"""What callers send: OpenAI's chat completions as far as a twin can serve them, and feedback.

Every field of OpenAI's API falls into one of three: it is honoured; it is a hint that the twin has
no use for, and the answer lists it as ignored; or it would change what comes back, and is refused
with 422 and its name.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from llm_twin.twin import Message

TRACE_ID: Final = r"^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$"
LONGEST_COMMENT: Final = 4000
HINTS: Final = (
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "stop",
    "logit_bias",
    "reasoning_effort",
    "verbosity",
)


def _whole(value: object) -> object:
    """JSON has one kind of number: 5.0 is as whole as 5."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _no_number(value: object) -> object:
    """Python takes 0 for False, JSON does not."""
    if type(value) is not bool:
        raise ValueError("should be false")
    return value


_Tokens = Annotated[int, Field(ge=1), BeforeValidator(_whole)]
_CHOSEN_BY_CALLERS: Final = ConfigDict(extra="forbid", strict=True, frozen=True)


_Text = Annotated[str, Field(pattern=r"\S")]


class TextPart(BaseModel):
    """A piece of a message."""

    model_config = _CHOSEN_BY_CALLERS

    type: Literal["text"]
    text: _Text


class Question(BaseModel):
    """What the user says. Images, sound and files are refused."""

    model_config = _CHOSEN_BY_CALLERS

    role: Literal["user"]
    content: _Text | Annotated[list[TextPart], Field(min_length=1)]
    name: str | None = None


class Aside(BaseModel):
    """What others said before. Tools are refused."""

    model_config = _CHOSEN_BY_CALLERS

    role: Literal["system", "developer", "assistant"]
    content: str | list[TextPart]
    name: str | None = None
    refusal: str | None = None


ChatMessage = Annotated[Question | Aside, Field(discriminator="role")]


class StreamOptions(BaseModel):
    """What a stream holds beside the answer."""

    model_config = _CHOSEN_BY_CALLERS

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class TextFormat(BaseModel):
    """The only format of an answer."""

    model_config = _CHOSEN_BY_CALLERS

    type: Literal["text"]


def _said(message: Question | Aside) -> Message:
    parts = message.content
    text = parts if isinstance(parts, str) else "\n".join(part.text for part in parts)
    return Message("system" if message.role == "developer" else message.role, text)


def _asks(messages: list[ChatMessage]) -> list[ChatMessage]:
    if not any(message.role == "user" for message in messages):
        raise ValueError("should hold a message of the role user")
    return messages


def _has_question(schema: dict[str, Any]) -> None:
    """Say in the JSON schema what `ChatRequest` checks: somebody asks something."""
    schema["properties"]["messages"]["contains"] = {
        "type": "object",
        "properties": {"role": {"const": "user"}},
        "required": ["role"],
    }


class ChatRequest(BaseModel):
    """A conversation to be continued."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, json_schema_extra=_has_question
    )

    model: str
    messages: Annotated[list[ChatMessage], Field(min_length=1), AfterValidator(_asks)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: _Tokens | None = None
    max_completion_tokens: _Tokens | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None

    # Hints that make no difference; the answer lists those that were given.
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    seed: Annotated[int, BeforeValidator(_whole)] | None = None
    stop: str | list[str] | None = None
    logit_bias: dict[str, float] | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None

    # For OpenAI's own books. They may name people, so they are not even kept.
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    metadata: dict[str, str] | None = None
    store: bool | None = None
    service_tier: str | None = None

    # What would change the answer's shape is accepted only where it asks for the usual one.
    n: Annotated[int, Field(ge=1, le=1), BeforeValidator(_whole)] | None = None
    logprobs: Annotated[Literal[False], BeforeValidator(_no_number)] | None = None
    response_format: TextFormat | None = None
    modalities: list[Literal["text"]] | None = None
    tools: Annotated[list[str], Field(max_length=0)] | None = None
    tool_choice: Literal["none", "auto"] | None = None
    parallel_tool_calls: bool | None = None

    def conversation(self) -> tuple[Message, ...]:
        """Return the messages as the twin takes them, up to the last one of the user."""
        said = [_said(message) for message in self.messages]
        while said[-1].role != "user":
            said.pop()
        return tuple(said)

    def limit(self, most: int) -> int | None:
        """Return the most tokens that the answer may have; None where the caller doesn't mind.

        Args:
            most: What the service's settings allow.
        """
        wanted = [each for each in (self.max_completion_tokens, self.max_tokens) if each]
        return min(*wanted, most) if wanted else None

    def ignored(self) -> list[str]:
        """Return the names of the hints that were given."""
        return [name for name in HINTS if getattr(self, name) is not None]


class Feedback(BaseModel):
    """What a reader thinks of an answer."""

    model_config = _CHOSEN_BY_CALLERS

    trace_id: Annotated[str, Field(pattern=TRACE_ID)]
    rating: Literal["up", "down"]
    comment: Annotated[str, Field(max_length=LONGEST_COMMENT)] | None = None
