"""What a request can come to other than an answer that is understood."""

from __future__ import annotations


class RequestFailed(Exception):
    """No answer that can be used.

    Attributes:
        url: What was asked.
        detail: What came, in a short phrase.
        status: The HTTP status; None when none came.
        retry_after: Seconds the server asked to wait; None when it did not.
    """

    def __init__(
        self, url: str, detail: str, *, status: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(detail)
        self.url = url
        self.detail = detail
        self.status = status
        self.retry_after = retry_after


class KeyRefused(RequestFailed):
    """The service answered 401 or 403: it does not know the key, or this client as a whole."""


class UnexpectedAnswer(Exception):
    """The answer is JSON, but not what it used to be; the sentence says where."""
