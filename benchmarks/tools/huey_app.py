import ticks
from huey import RedisHuey

from tools import REDIS

huey = RedisHuey("bench", url=REDIS, results=False)


@huey.task()
def tick(text):
    ticks.tick(text)


submit = tick
