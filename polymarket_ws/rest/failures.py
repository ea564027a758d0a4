"""What a request can come to other than an answer that is understood."""

from __future__ import annotations


class RequestFailed(Exception):
    """No answer that can be used.

    Attributes:
        url: What was asked.
        detail: What came, in a short phrase.
        status: The HTTP status; None when none came.
        retry_after: Seconds the server asked to wait; None when it did not.
        kind: The content type of what came with the status.
    """

    def __init__(
        self,
        url: str,
        detail: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        kind: str = "",
    ) -> None:
        super().__init__(detail)
        self.url = url
        self.detail = detail
        self.status = status
        self.retry_after = retry_after
        self.kind = kind


class KeyRefused(RequestFailed):
    """The service does not know the key: it answered 401, or 403 with JSON. A page with 403 is of
    what stands before the service, and says nothing of the key.
    """


class UnexpectedAnswer(Exception):
    """The answer is JSON, but not what it used to be; the sentence says where."""
