from noop.tasks import tick

submit = tick.delay
