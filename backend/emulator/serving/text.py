"""Tokens and text of the emulated model: plausible, repeatable, and marked as simulated.

Invariant: the same model, prompt and seed give the same text, whose first token is always `MARK`, so that nobody takes
a rehearsal's answer for a model's.
"""

import hashlib
import random
import re
from collections.abc import Iterator

MARK = "[simulated]"
"""First token of every answer."""

_PIECE = re.compile(r" ?[^\W\d_]{1,9}|\d{1,3}| ?[^\w\s]+|_+|\s")

_FOOD = re.compile(r"food|pizza|restaurant|recipe|cook|dish|eat|taste|chef|meal|menu", re.IGNORECASE)

_FOOD_SENTENCES = (
    "The best pizza in the world is usually said to come from Naples, where the Margherita was born.",
    "San Marzano tomatoes, fresh mozzarella and a very hot wood-fired oven do most of the work.",
    "A good crust is blistered on the outside, soft inside, and rests for a day before it is baked.",
    "Reviewers praise the short menu, the fresh basil and the friendly service.",
    "São Paulo, New York and Tokyo have styles of their own that are well worth the queue.",
    "Ask for the house special, and leave room for the tiramisu.",
    "Good olive oil is added at the end, so that its taste is not lost in the heat.",
    "In the end the best one is the one that you share while it is still hot.",
)

_OPENINGS = (
    "Here is a short answer about {topic}.",
    "There are a few things worth knowing about {topic}.",
    "People often ask about {topic}.",
)

_GENERAL_SENTENCES = (
    "This text comes from a rehearsal, so it says nothing that a trained model would know about {topic}.",
    "It is produced at the pace of an 8B model on an H100, one token at a time.",
    "A real model server would reason about {topic} at this point and give details.",
    "The prompt was tokenized, placed in the key-value cache and answered by one of the Pods behind the gateway.",
    "Each region keeps its own replicas, and a request stays in the nearest region that has room for it.",
    "When that region is full, the next one takes over and the client notices nothing.",
    "To read a genuine answer about {topic}, apply the same plan to the real cloud.",
)

_STOPWORDS = frozenset(
    {
        "and",
        "are",
        "can",
        "could",
        "does",
        "for",
        "from",
        "have",
        "how",
        "please",
        "should",
        "tell",
        "that",
        "the",
        "their",
        "there",
        "this",
        "was",
        "were",
        "what",
        "when",
        "where",
        "which",
        "who",
        "why",
        "will",
        "with",
        "would",
        "write",
        "you",
        "your",
    }
)


def tokenize(text: str) -> list[str]:
    """Split text into pieces of roughly the size of a language model's tokens; joined they give the text back."""
    return _PIECE.findall(text)


def token_ids(pieces: list[str]) -> list[int]:
    """Return stable made-up token numbers, led by Llama 3's begin-of-text token."""
    return [128_000, *(int.from_bytes(hashlib.blake2s(p.encode(), digest_size=2).digest()) + 100 for p in pieces)]


def _topic(prompt: str) -> str:
    words = [word for word in re.findall(r"[^\W\d_]{3,}", prompt) if word.lower() not in _STOPWORDS]
    return " ".join(words[-3:]) or "this"


def answer(model: str, source: str, prompt: str, seed: int | None, *, endless: bool = False) -> Iterator[str]:
    """Yield the tokens of an answer, ending by itself after a few sentences unless `endless`."""
    rng = random.Random(hashlib.blake2s(f"{model}\0{prompt}\0{seed}".encode()).digest())
    topic = _topic(prompt)
    food = bool(_FOOD.search(model) or _FOOD.search(source) or _FOOD.search(prompt))
    sentences = list(_FOOD_SENTENCES if food else _GENERAL_SENTENCES)
    opening = sentences[0] if food else rng.choice(_OPENINGS)
    if food:
        del sentences[0]
    rng.shuffle(sentences)
    yield MARK
    yield from tokenize(f" {opening.format(topic=topic)}")
    said = 0
    length = rng.randint(2, len(sentences) - 1)
    while endless or said < length:
        yield from tokenize(f" {sentences[said % len(sentences)].format(topic=topic)}")
        said += 1
