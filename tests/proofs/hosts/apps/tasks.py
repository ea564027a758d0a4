"""A Celery application that looks."""

import feed
from celery import Celery

broker = {"broker_url": "filesystem://", "result_backend": "file://" + feed.FOLDER + "/results"}
app = Celery("tasks")
app.conf.update(
    broker,
    broker_transport_options={
        "data_folder_in": feed.FOLDER + "/queue",
        "data_folder_out": feed.FOLDER + "/queue",
        "control_folder": feed.FOLDER + "/control",
    },
    worker_enable_remote_control=False,
)


@app.task
def look(*names):
    return feed.look(*names)
