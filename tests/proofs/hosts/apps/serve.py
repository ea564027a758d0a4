"""A Flask application that looks."""

import os
import sys

import feed
from flask import Flask

app = Flask(__name__)


@app.route("/<path:names>")
def look(names):
    return feed.look(*names.split("/"))


if os.environ.get("WERKZEUG_RUN_MAIN") == "true":  # the reloader's child, which serves
    feed.sub.start()

if __name__ == "__main__":
    app.run(port=int(sys.argv[1]), debug=True)
