"""Prices from the live books of this process, trades from the database."""

from django.http import HttpRequest, JsonResponse

from polymarket_ws.contrib.django import subscriber

from .models import Print


def show(request: HttpRequest) -> JsonResponse:
    """The best prices of each book that may be used, and how many trades were stored."""
    tops = {asset_id: book.top for asset_id, book in subscriber.books.items()}
    return JsonResponse(
        {
            "prices": {
                asset_id: {"bid": str(top.bid.price), "ask": str(top.ask.price)}
                for asset_id, top in tops.items()
                if top.valid and top.bid and top.ask
            },
            "prints": Print.objects.count(),
        }
    )


def tell_health(request: HttpRequest) -> JsonResponse:
    """503 while a book is missing or stale."""
    is_healthy = subscriber.healthy
    return JsonResponse(
        {"healthy": is_healthy, "missing": subscriber.missing}, status=200 if is_healthy else 503
    )
