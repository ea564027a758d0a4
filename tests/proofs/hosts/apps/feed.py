"""One subscriber, and what a proof asks of it. Each process counts its events in a file, so that a
parent that cannot be asked is seen to go on."""

import json
import logging
import os
import ssl
import threading
import time

from polymarket_ws import Options, Subscriber

FOLDER = os.path.dirname(os.path.abspath(__file__))
with open(FOLDER + "/server.json") as file:
    SERVER = json.load(file)
WARNINGS = []


class Keep(logging.Handler):
    def emit(self, record):
        WARNINGS.append(record.getMessage())


logging.getLogger("polymarket_ws").addHandler(Keep(logging.WARNING))

reconnected = threading.Event()


def make(tls=False, **more):
    trust = ssl.create_default_context(cafile=FOLDER + "/ca.pem") if tls else None
    url = SERVER["tls" if tls else "plain"]
    options = Options(market_url=url, trust_env=False, ssl_context=trust, backoff_base=0.05, **more)
    sub = Subscriber(SERVER["assets"], options=options)

    @sub.on_event
    def count(event):
        with open(f"{FOLDER}/{os.getpid()}.heard", "a") as file:
            file.write(".")

    @sub.on_connect
    def note(event):
        if event.reconnected:
            reconnected.set()

    return sub


sub = make(restart_after_fork="RESTART" in os.environ)


def act(name):
    """See, start or stop; what came of it as text."""
    try:
        if name == "see":
            seen = f"{sub.state}, healthy {sub.healthy}, "
            seen += f"valid {any(book.valid for book in list(sub.books.values()))}"
            told = [text.split(": ")[-1] for text in WARNINGS if "next attempt" not in text]
            return seen + (f", {len(told)} WARNING ({told[0]})" if told else ", no WARNING")
        if name == "start":
            sub.start()
            sub.wait_ready(10)
            return f"start {sub.state}"
        if name == "reconnect":
            return f"after a reset {'LIVE' if reconnected.wait(10) and ready(sub) else sub.state}"
        if name == "stop":
            return f"stop {sub.stop()}"
        if name == "threads":
            left = [t.name for t in threading.enumerate() if t.name.startswith("polymarket")]
            return f"{len(left)} threads left"
        if name == "pid":
            return str(os.getpid())
        if name == "heard":
            return "goes on" if goes_on(os.getpid()) else "heard nothing"
    except Exception as error:
        return f"{name} {type(error).__name__}: {error}"


def ready(sub):
    sub.wait_ready(10)
    return sub.healthy


def goes_on(pid):
    before = heard(pid)
    deadline = time.monotonic() + 8
    while heard(pid) < before + 3:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def heard(pid):
    try:
        return os.path.getsize(f"{FOLDER}/{pid}.heard")
    except FileNotFoundError:
        return 0


def look(*names):
    return "; ".join(act(name) for name in names)


def tell(text):
    print("#", text, flush=True)


def application(environ, start_response):
    if environ["PATH_INFO"] == "/exit":
        os._exit(3)
    body = look(*environ["PATH_INFO"].strip("/").split("/")).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
