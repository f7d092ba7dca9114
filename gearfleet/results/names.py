"""Readable names: four words for each job, made of its id, so that nobody has to send them."""

from __future__ import annotations

from zlib import crc32

_WORDS = """
acorn adobe agate alder alloy almond alpine amber anchor anvil apple apricot apron arch arrow ash
aspen aster autumn badge badger bakery bamboo banjo barley barn basil basin basket bay beacon bean
bear beaver beech bell berry birch bishop blossom bluff boat bobbin bonnet boulder bramble brass bread
breeze brick bridge bright brook broom bronze bucket buckle bugle burrow butter button cabin cable camel
canal candle canoe canvas cape caravan cargo carpet carrot castle cedar cellar chalk cherry chess chime
cider cinder citrus clay cliff clover cloud coal cobalt cocoa comet copper coral corn cotton cove crane
crater creek cricket crisp crow crown crystal curlew cypress daisy dawn deer delta desert dew diamond
dock dolphin dove dragon drift drum dune dusk eagle east echo elder elk elm ember emerald engine falcon
fern ferry fiddle field fig finch fir flame flask flint flora flute fog forest forge fossil fox frost
galaxy garden garlic garnet gate geyser ginger glacier glade glass globe goat gold goose granite grape
grove gull hammer harbour hare harp harvest hawk hazel heath heron hill holly honey horizon ibis indigo
inlet iris iron island ivory ivy jade jasmine jay jewel juniper kayak kestrel kettle kite ladder lagoon
lake lantern larch lark laurel lava lemon lentil lilac lily lime linen lion lotus lynx magnet mango maple
marble marsh meadow melon meteor mill mint mirror mist moon moss moth mountain nectar nest nickel north
nutmeg oak oasis oat ocean olive onyx opal orbit orchard orchid otter owl palm panther paper pearl pebble
pepper pine planet plum
"""

WORDS = tuple(_WORDS.split())


def readable_name(job: str) -> str:
    """Return the name of the job with this id, such as ``amber-heron-lake-oak``; always the same."""
    number = crc32(job.encode("utf-8", "surrogatepass"))
    first, second = WORDS[number >> 24], WORDS[number >> 16 & 255]
    return f"{first}-{second}-{WORDS[number >> 8 & 255]}-{WORDS[number & 255]}"
