"""The HTTP service: an OpenAI-compatible API and the chat page."""
