"""gunicorn for app.py: threads, so that a stream occupies a thread and not a whole worker."""

wsgi_app = "app:create_app()"
worker_class = "gthread"
workers = 4
threads = 32
graceful_timeout = 5  # what open streams get at a TERM; browsers reconnect by themselves


def post_worker_init(worker):
    """Open streams would hold up a worker that is asked to end."""
    from polymarket_ws.contrib.flask import end_streams_when

    end_streams_when(lambda: not worker.alive)
