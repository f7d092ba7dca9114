import ticks
from redis import Redis
from rq import Queue

from tools import REDIS

queue = Queue("bench", connection=Redis.from_url(REDIS))


def submit(text):
    queue.enqueue(ticks.tick, text, result_ttl=0)
