import dramatiq
import ticks
from dramatiq.brokers.redis import RedisBroker

from tools import REDIS

dramatiq.set_broker(RedisBroker(url=REDIS))


@dramatiq.actor
def tick(text):
    ticks.tick(text)


submit = tick.send
