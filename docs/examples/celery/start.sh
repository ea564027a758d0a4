#!/bin/sh
# The whole example: a Redis of its own without a file, and a worker. Ctrl-C or TERM ends both.
# ASSET_IDS: a JSON list of token ids. POOL: prefork, threads, gevent or solo. PORT: Redis'.
port="${PORT:-6399}"
export BROKER_URL="redis://127.0.0.1:$port/0" PYTHONPATH="$(dirname "$0"):$PYTHONPATH"
redis-server --port "$port" --bind 127.0.0.1 --save "" --appendonly no --loglevel warning &
redis=$!
celery -A tasks worker --pool "${POOL:-prefork}" --concurrency 4 --loglevel INFO &
worker=$!
trap 'kill -TERM $worker' INT TERM
wait $worker
wait $worker
kill -TERM $redis
