#!/bin/sh
# The whole example: a process that writes trades, and four that serve. Ctrl-C or TERM ends both.
# FLASK_POLYMARKET_WS_ASSET_IDS: a JSON list of token ids. PORT: where to listen.
cd "$(dirname "$0")" || exit 1
flask --app app polymarket stream &
recorder=$!
gunicorn --bind "127.0.0.1:${PORT:-8000}" &
server=$!
trap 'kill -TERM $recorder $server' INT TERM
wait $recorder $server
wait $recorder
wait $server
