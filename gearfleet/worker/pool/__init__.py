"""A pool: one parent, and the workers that share the code which was imported once.

    parent      imports no code of the user; keeps the slots filled, forwards signals
      nursery   imports the worker module, and forks on order; at first a fork of the
                parent, a fresh interpreter where code is to be imported again
      worker    forked by the nursery, and then a child of the parent; one for each slot

The parent is a subreaper (prctl(2)): the nursery forks a process that forks the
workers and ends, and so they are the parent's own children. The parent hears of the end of
each worker from the kernel alone, and a nursery may die or be replaced without
any of its workers noticing. That is why a pool needs Linux.
"""

from gearfleet.worker.pool.member import Member, nursery_of_this_process

__all__ = ["Member", "nursery_of_this_process"]
