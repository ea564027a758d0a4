"""A process that follows books and serves /metrics for Prometheus and /healthz for a probe.

pip install 'polymarket-ws[prometheus]'
python exporter.py 7132104567...2563 5211431950...8422
curl http://127.0.0.1:9200/metrics
curl -i http://127.0.0.1:9200/healthz
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from polymarket_ws import Options, Subscriber
from polymarket_ws.contrib.prometheus import SubscriberCollector
from polymarket_ws.errors import ConfigurationError

logger = logging.getLogger(__name__)

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def health_app(sub: Subscriber) -> WsgiApp:
    """Answers 200 while every subscribed book is live, and 503 while one is stale or missing."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        reasons = Counter(book.stale_reason for book in sub.books.values() if not book.valid)
        report = {"healthy": sub.healthy, "state": str(sub.state), "not_live": dict(reasons)}
        status = "200 OK" if report["healthy"] else "503 Service Unavailable"
        start_response(status, [("Content-Type", "application/json")])
        return [json.dumps(report).encode() + b"\n"]

    return answer


def make_app(sub: Subscriber) -> WsgiApp:
    """Both, by their paths."""
    registry = CollectorRegistry()
    registry.register(SubscriberCollector([sub]))
    metrics, health = make_wsgi_app(registry), health_app(sub)

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        app = health if environ["PATH_INFO"] == "/healthz" else metrics
        return app(environ, start_response)

    return answer


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # a slow client holds up neither the others nor the exit


class _Handler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Not a line for each scrape."""


def main() -> None:
    """Follow the assets of the command line until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("assets", nargs="+", help="token ids")
    parser.add_argument("--port", type=int, default=9200, help="0: any free one")
    parser.add_argument("--market-url", default=Options().market_url)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stdout)

    try:
        options = Options(market_url=arguments.market_url)
        sub = Subscriber(arguments.assets, options=options, name="prices")
        address = ("127.0.0.1", arguments.port)
        made = make_server(*address, make_app(sub), server_class=_Server, handler_class=_Handler)
    except (ConfigurationError, OSError, OverflowError) as error:  # a wrong id, a port in use
        parser.error(str(error))
    with made as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        logger.info("serving http://127.0.0.1:%d/metrics and /healthz", server.server_port)
        sub.run()  # until SIGTERM or Ctrl-C
        server.shutdown()


if __name__ == "__main__":
    main()
