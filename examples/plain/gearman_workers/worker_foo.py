"""Readers: they answer at once, and the caller waits."""

from collections import Counter

from gearfleet import task


@task(queue="foo")
def count_words(text: str, top: int = 3) -> list[tuple[str, int]]:
    """Return the most frequent words of a text, each with its count."""
    return Counter(text.lower().split()).most_common(top)
