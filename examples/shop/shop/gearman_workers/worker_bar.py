"""The laboratory: small pictures of the photos that customers sent."""

import os
from itertools import count

from gearfleet import hooks, task
from shop import storage
from shop.pictures import Picture

_made = count()


@task(queue="bar")
def thumbnail(order_id: int, width: int = 32) -> str:
    """Scale the photo of an order; return the name of the file."""
    photo = Picture.from_png(storage.place("photos", f"{order_id}.png").read_bytes())
    path = storage.place("thumbnails", f"{order_id}.png")
    storage.save(path, photo.scaled(width).to_png())
    storage.note(f"thumbnail {order_id}")
    next(_made)
    return path.name


@hooks.on_shutdown
def sign_off() -> None:
    """Write into the ledger how much this worker did; runs once, after its last job."""
    storage.note(f"signed off: worker_bar {os.getpid()} after {next(_made)} thumbnails")
