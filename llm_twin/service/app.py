"""The application: its paths, and what a request passes on its way to them."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import FastAPI, Path, Security
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import Response
from fastapi.security import HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from llm_twin import __version__
from llm_twin.errors import TwinError
from llm_twin.service import errors
from llm_twin.service.answers import Completion, Error, FeedbackTaken, Model, Models
from llm_twin.service.auth import hosts_of, keys_of
from llm_twin.service.bodies import ChatRequest, Feedback
from llm_twin.service.chat import TRACE_HEADER, ChatResponse
from llm_twin.service.errors import ApiError
from llm_twin.service.gate import Gate, Watch
from llm_twin.service.page import add_page
from llm_twin.service.state import Service

if TYPE_CHECKING:
    from llm_twin.service.settings import ServiceSettings

SCORE: Final = "user_feedback"
_VALUES: Final = {"up": 1.0, "down": 0.0}
_EVENT: Final = {
    "type": "object",
    "required": ["data"],
    "properties": {
        "data": {
            "type": "string",
            "description": "A chat.completion.chunk, or an error object, as JSON; [DONE] at last.",
        }
    },
}
_MEANINGS: Final = {
    400: "The body is no JSON.",
    401: "No API key, or none that is known.",
    403: "A page of another site asks.",
    404: "There is no such thing.",
    408: "The body took too long.",
    413: "The body is too large.",
    421: "The service is called by a name that is not its own.",
    422: "A field is wrong, or the conversation too long.",
    429: "Too many requests; the header Retry-After tells when to try again.",
    503: "Too many questions at once (Retry-After), or a part is missing; the message says which.",
    504: "The answer took too long.",
}


class _App(FastAPI):
    """The framework's application, whose description names the only model."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        document = super().openapi()
        asked = document["components"]["schemas"]["ChatRequest"]["properties"]
        asked["model"]["enum"] = [self.state.service.settings.model]
        return document


def create_app(service: Service) -> FastAPI:
    """Make the application.

    Args:
        service: The twin, the tracer and the settings; open as long as the application serves.

    Raises:
        UsageError: The settings for keys contradict each other, or there is no key where callers
            need one.
    """
    settings = service.settings
    keys = keys_of(settings)
    app = _App(
        title="LLM twin",
        version=__version__,
        summary="Answers from its author's writing, with sources.",
        # The framework's pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        exception_handlers={
            ApiError: errors.on_api_error,
            HTTPException: errors.on_http_error,
            RequestValidationError: errors.on_invalid,
        },
    )
    app.state.service = service
    guards = [] if keys is None else [Security(HTTPBearer(auto_error=False))]
    _add_api(app, service, guards)
    _add_health(app, service, guards)
    add_page(app)
    app.add_middleware(Gate, settings=settings, keys=keys, hosts=hosts_of(settings, keys))
    if settings.cors_origins:
        _add_cors(app, settings)
    app.add_middleware(Watch, metrics=service.metrics)
    return app


def _add_api(app: FastAPI, service: Service, guards: list[Any]) -> None:
    settings = service.settings

    @app.post(
        "/v1/chat/completions",
        response_model=Completion,
        responses=_responses(400, 404, 408, 413, 422, 503, 504, guarded=bool(guards))
        | {200: {"description": "The answer, whole or as a stream.", **_streamed()}},
        dependencies=guards,
    )
    async def chat_completions(body: ChatRequest) -> Response:
        """Continue a conversation; the twin answers the last message of the user."""
        _check(body, settings)
        if service.draining:
            raise errors.STOPPING
        return ChatResponse(service, body)

    only = Path(json_schema_extra={"enum": [settings.model]})

    def model() -> Model:
        return Model(id=settings.model, created=service.created)

    @app.get("/v1/models", responses=_responses(guarded=bool(guards)), dependencies=guards)
    async def models() -> Models:
        """List the models: the twin."""
        return Models(data=[model()])

    @app.get(
        "/v1/models/{name:path}",
        responses=_responses(404, 422, guarded=bool(guards)),
        dependencies=guards,
    )
    async def one_model(name: Annotated[str, only]) -> Model:
        """Describe a model."""
        if name != settings.model:
            raise _no_model(settings)
        return model()

    @app.post(
        "/v1/feedback",
        responses=_responses(400, 404, 408, 413, 422, 503, guarded=bool(guards)),
        dependencies=guards,
    )
    async def feedback(body: Feedback) -> FeedbackTaken:
        """Say whether an answer was of use; the last word on an answer counts."""
        from llm_twin.tracing.tracer import UnknownTraceError

        value = _VALUES[body.rating]
        try:
            await asyncio.to_thread(
                service.tracer.feedback, body.trace_id, SCORE, value, body.comment, source="ui"
            )
        except UnknownTraceError:
            message = "No such answer, or its trace is kept no more."
            raise ApiError(404, message, code="unknown_trace", param="trace_id") from None
        except TwinError as error:
            raise errors.unavailable(error, service.masker) from None
        service.metrics.feedback(body.rating)
        return FeedbackTaken(trace_id=body.trace_id, rating=body.rating)


def _add_health(app: FastAPI, service: Service, guards: list[Any]) -> None:
    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Say that the process serves."""
        return {"status": "ok"}

    @app.get("/readyz", responses=_responses(503, guarded=False))
    async def readyz() -> dict[str, str]:
        """Say whether questions would be answered."""
        if service.draining:
            raise errors.STOPPING
        return {"status": "ready"}

    @app.get(
        "/metrics",
        response_class=Response,
        responses=_responses(guarded=bool(guards))
        | {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
        dependencies=guards,
    )
    async def metrics() -> Response:
        """Return the metrics in Prometheus' text format."""
        return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)


def _add_cors(app: FastAPI, settings: "ServiceSettings") -> None:
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type"],
        expose_headers=[TRACE_HEADER, "Retry-After"],
    )


def _check(body: ChatRequest, settings: "ServiceSettings") -> None:
    if body.model != settings.model:
        raise _no_model(settings)
    if len(body.messages) > settings.messages:
        message = f"messages: at most {settings.messages} are read; leave older ones out."
        raise ApiError(422, message, code="too_many_messages", param="messages")
    if sum(len(message.content) for message in body.conversation()) > settings.characters:
        message = f"messages: at most {settings.characters} characters are read; shorten them."
        raise ApiError(422, message, code="context_length_exceeded", param="messages")


def _no_model(settings: "ServiceSettings") -> ApiError:
    message = f"No such model; the only one is {settings.model}."
    return ApiError(404, message, code="model_not_found", param="model")


def _responses(*statuses: int, guarded: bool) -> dict[int | str, dict[str, Any]]:
    all_ = {*statuses, 421, 403, 429} | ({401} if guarded else set())
    return {each: {"model": Error, "description": _MEANINGS[each]} for each in sorted(all_)}


def _streamed() -> dict[str, Any]:
    return {
        "content": {"text/event-stream": {"schema": _EVENT}},
        "headers": {
            TRACE_HEADER: {"description": "The answer's trace.", "schema": {"type": "string"}}
        },
        "links": {
            "feedback": {
                "operationId": "feedback",
                "requestBody": {"trace_id": f"$response.header.{TRACE_HEADER}"},
            }
        },
    }
