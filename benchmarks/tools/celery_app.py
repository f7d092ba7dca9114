import ticks
from celery import Celery

from tools import REDIS

app = Celery("bench", broker=REDIS)
app.conf.task_ignore_result = True
app.conf.broker_connection_retry_on_startup = True


@app.task
def tick(text):
    ticks.tick(text)


submit = tick.delay
