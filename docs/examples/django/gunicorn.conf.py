"""Each web worker keeps books of its own, for the views; it writes nothing."""


def post_worker_init(worker):
    """Run in each worker once its application is loaded, with and without --preload."""
    from polymarket_ws.contrib.django import start_in_worker

    start_in_worker()
