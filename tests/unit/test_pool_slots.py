"""The slots of a pool: who has them, who comes next, and when."""

from __future__ import annotations

import pytest

from gearfleet.worker.pool.slots import BIRTH, DELAYS, LIVED_WELL, Slots, Worker


def born(pid: int, slot: int = 0, generation: int = 0, at: float = 0.0) -> Worker:
    return Worker(pid=pid, slot=slot, generation=generation, born_at=at)


def full(size: int) -> tuple[Slots, list[Worker]]:
    slots = Slots(size)
    workers = [born(number + 1, number) for number in range(size)]
    for slot, worker in zip(slots, workers, strict=True):
        assert slot.take(worker)
        worker.is_serving = True
    return slots, workers


def test_empty_slots__are_wanted_once() -> None:
    slots = Slots(3)
    wanting = slots.wanting(0, 0.0, [])
    assert [slot.number for slot in wanting] == [0, 1, 2]
    for slot in wanting:
        slot.is_ordered = True
    assert slots.wanting(0, 0.0, []) == []


def test_death__is_answered_later_each_time() -> None:
    slots, (worker,) = full(1)
    (slot,) = slots
    delays = []
    for number in range(9):
        delays.append(slot.lose(worker, 1, now=1.0))
        worker = born(number + 2, at=1.0)
        assert slot.take(worker)
    assert delays == [*DELAYS, 30.0, 30.0]
    assert slot.lose(worker, 1, now=1.0 + LIVED_WELL) == 0.0, "it lived well"


def test_slot__is_not_wanted_before_its_time() -> None:
    slots, (worker,) = full(1)
    slots[0].failures = 1
    slots[0].lose(worker, -9, now=10.0)
    assert slots.wanting(0, 10.9, []) == []
    assert slots.next_due(10.9) == 11.0
    assert slots.wanting(0, 11.0, []) == [slots[0]]


def test_order__of_one_who_died_before_its_birth_is_given_up_in_time() -> None:
    slots = Slots(2)
    for slot in slots:
        slot.is_ordered, slot.ordered_at = True, 10.0
    assert slots[1].take(born(1, 1))
    assert slots.next_due(11.0) == 10.0 + BIRTH
    assert slots.stillborn(9.9 + BIRTH) == []
    assert slots.stillborn(10.0 + BIRTH) == [slots[0]]
    assert slots[0].fail(40.0) > 0
    assert slots.stillborn(99.0) == []
    assert slots.wanting(0, 99.0, []) == [slots[0]]


def test_recycling__is_no_failure() -> None:
    slots, (worker,) = full(1)
    for number in range(20):
        assert slots[0].lose(worker, 75, now=float(number)) == 0.0
        worker = born(number + 2)
        slots[0].take(worker)
    assert slots[0].failures == 0


@pytest.mark.parametrize(("size", "room"), [(1, 1), (3, 1), (4, 1), (8, 2), (32, 8)])
def test_new_generation__comes_a_quarter_at_a_time(size: int, room: int) -> None:
    slots, workers = full(size)
    wanting = slots.wanting(1, 0.0, workers)
    assert len(wanting) == room
    successors = [born(100 + slot.number, slot.number, 1) for slot in wanting]
    for slot in wanting:
        slot.is_ordered = True
    assert slots.wanting(1, 0.0, workers) == []
    for slot, successor in zip(wanting, successors, strict=True):
        assert slot.take(successor)
        assert slots.wanting(1, 0.0, workers + successors) == []
        assert slot.serve(successor) is workers[slot.number]
        assert slots.wanting(1, 0.0, workers + successors) == [], "the old one still drains"
    living = workers[room:] + successors
    assert len(slots.wanting(1, 0.0, living)) == min(room, size - room)


def test_successor__takes_over_at_once_from_the_dead() -> None:
    slots, (worker,) = full(1)
    slots[0].take(successor := born(2, generation=1))
    assert slots[0].lose(worker, -9, now=0.0) is None, "there is one already"
    assert slots[0].worker is successor
    assert slots[0].serve(successor) is None


def test_newborn__without_a_place_is_refused() -> None:
    slots, _ = full(1)
    assert not slots[0].take(born(2)), "of the same code"
    assert slots[0].take(born(3, generation=1))
    assert not slots[0].take(born(4, generation=1))


def test_superseded_successors__leave_their_slots() -> None:
    slots, _ = full(2)
    slots[0].take(successor := born(3, 0, 1))
    assert slots.superseded(2) == [successor]
    assert slots[0].successor is None
    assert slots.superseded(2) == []


@pytest.mark.parametrize("code", [2, 3, 78])
def test_pool__is_incurable_when_every_slot_is(code: int) -> None:
    slots = Slots(2)
    for slot in slots:
        slot.take(worker := born(slot.number + 1, slot.number))
        assert slots.incurable == 0
        assert slot.lose(worker, code, now=0.0) == 1.0, "time to hear of the others"
    assert slots.incurable == code


def test_pool__is_not_incurable_once_a_worker_has_served() -> None:
    slots, workers = full(2)
    for slot, worker in zip(slots, workers, strict=True):
        slot.lose(worker, 78, now=0.0)
    assert slots.incurable == 0
