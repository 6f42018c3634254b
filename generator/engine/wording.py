"""Prompts as the base model is to hear them: without names, one for each person. No torch."""

from __future__ import annotations

import re

# "[[id]]" and "@name" point at a portrait model; the tokenizer would read them as letters.
REFERENCE = re.compile(r"\[\[[^\[\]]*\]\]|(?<![\w.])@\w[\w-]*")
_JOINT = re.compile(r"^[\s,;]*(?:and|with|&|\+)?[\s,;]*$", re.IGNORECASE)
_ENDS_JOINED = re.compile(r"[\s,;]*(?:\b(?:and|with)\b|&|\+)?[\s,;]*$", re.IGNORECASE)


def clean(prompt: str) -> str:
    """The prompt without references to portrait models and the gaps they leave."""
    words = " ".join(REFERENCE.sub(" ", prompt).split())
    return re.sub(r"\s+([,.;:!?])", r"\1", words).strip(" ,;")


def for_each(prompt: str, people: int) -> list[str]:
    """The words for each of several people: their own, and what is said of everybody.

    "[[a]] in red and [[b]] in blue, at the beach" gives "in red, at the beach" and "in
    blue, at the beach"; a prompt that does not tell people apart is everybody's.
    """
    shared, *own = REFERENCE.split(prompt)
    if people < 2 or len(own) != people:
        return [clean(prompt)] * people
    if all(_JOINT.match(part) for part in own[:-1]):  # "[[a]] and [[b]] at the beach"
        return [clean(f"{shared} {own[-1]}")] * people
    last, _, rest = own[-1].partition(",")
    mine = [*(_ENDS_JOINED.sub("", part) for part in own[:-1]), last]
    return [
        ", ".join(words for part in (shared, one, rest) if (words := clean(part))) for one in mine
    ]


def for_cast(prompt: str, cast: tuple[int | None, ...]) -> list[str]:
    """The words for each face of a picture, where `cast` says whom it shows (see `crowd`).

    The i-th reference means the i-th person; who is not spoken of gets what is said of all.
    """
    shared, *own = REFERENCE.split(prompt)
    known = for_each(prompt, len(own)) if len(own) > 1 else []
    if len(own) == 1 and len(cast) > 1:  # one of several is spoken to
        mine = clean(f"{shared} {own[0]}")
        return [mine if who == 0 else "" for who in cast] if 0 in cast else [mine] * len(cast)
    if not known:
        return [clean(prompt)] * len(cast)
    everybody = clean(own[-1].partition(",")[2])
    return [known[who] if who is not None and who < len(known) else everybody for who in cast]


def circumstances(words: dict[str, str]) -> list[str]:
    """What is not the person, as clauses the base model was trained with."""
    outfit = f"{words.get('outfit_color', '')} {words.get('outfit', '')}".strip()
    background = f"{words['background']} background" if "background" in words else ""
    light = f"{words['light']} light" if "light" in words else ""
    parts = (outfit, background, words.get("expression", ""), light, words.get("pose", ""))
    return [part for part in parts if part]


# How people say the poses and expressions that the base model knows.
_MOVES = {
    "turned left": r"(?:turn|look|fac)(?:s|ed|es|ing)?\s+(?:to\s+(?:the\s+|his\s+|her\s+)?)?left",
    "turned right": r"(?:turn|look|fac)(?:s|ed|es|ing)?\s+(?:to\s+(?:the\s+|his\s+|her\s+)?)?right",
    "facing the camera": r"(?:fac|look)(?:s|es|ing)?\s+(?:at\s+|into\s+|to\s+)?the\s+camera",
    "smiling": r"smil(?:e|es|ing)|happy",
    "laughing": r"laugh(?:s|ing)?",
    "surprised": r"surprised|amazed|astonished",
    "serious": r"serious|stern",
    "sad": r"sad|unhappy",
    "neutral": r"neutral|calm|relaxed",
}
_MOVE = re.compile(
    r"\b(?:" + "|".join(f"(?P<m{i}>{said})" for i, said in enumerate(_MOVES.values())) + r")\b",
    re.IGNORECASE,
)
_GLUE = re.compile(r"\b(?:then|and|while)\b\s*(?=,|$)|(?<=,)\s*(?:then|and|while)\b", re.I)
POSES = ("facing the camera", "turned left", "turned right")
AT_EASE = ("neutral", "facing the camera")  # expression, pose
USUAL_MOVES = ("turned left", "smiling", "turned right")


def moves(prompt: str) -> tuple[str, tuple[str, ...]]:
    """The prompt without its movements, and these in order: "at sea, smiling, then turning
    left" gives "at sea" and ("smiling", "turned left")."""
    names = list(_MOVES)
    found = [
        next(names[i] for i in range(len(names)) if match.group(f"m{i}"))
        for match in _MOVE.finditer(prompt)
    ]
    rest = _GLUE.sub(" ", _MOVE.sub(" ", prompt))
    rest = re.sub(r"\s*,(?:\s*,)+", ",", rest)
    return clean(rest), tuple(found)


def posed(prompt: str, negative: str = "") -> str:
    """The prompt with a pose, if it has none and none is unwanted.

    Left to itself the base model may not decide, and draws a face with the eyes of two poses.
    """
    said = set(moves(prompt)[1] + moves(negative)[1])
    return prompt if said & set(POSES) else ", ".join(filter(None, (prompt, AT_EASE[1])))


_LIGHT = re.compile(  # "light skin" and "light brown hair" are none
    r"light(?!\s+(?:skin|brown|blond|blue|green|gr[ae]y))|lit\b|neon|golden|shadow",
    re.IGNORECASE,
)


def lit(prompt: str) -> str:
    """The prompt with a light, if it has none: people side by side have to agree about it."""
    return prompt if _LIGHT.search(prompt) else ", ".join(filter(None, (prompt, "daylight")))


_PLACE = re.compile(
    r"background|studio|beach|\bsea\b|city|street|night|forest|woods|office|at work|library|book|"
    r"caf[eé]|coffee|mountain|sunset|garden|park\b|flower|snow|winter|desert|cact|pool|"
    r"\bat\b(?! the camera)|\bin front of\b|\bbehind\b",
    re.IGNORECASE,
)


def in_studio(prompt: str, negative: str = "") -> str:
    """The prompt of a face that others will be drawn from: by daylight in a studio, unless it
    or what is unwanted speaks of a light or a place."""
    said = f"{prompt}, {negative}"
    more = [] if _PLACE.search(said) else ["studio background"]
    more += [] if _LIGHT.search(said) else ["daylight"]
    return ", ".join(filter(None, (prompt, *more)))


def path(wished: tuple[str, ...], start: tuple[str, str] = AT_EASE) -> list[tuple[str, str]]:
    """Expression and pose of every key picture, `start` first; each differs from the last.

    A new expression is worn facing the camera; from one side to the other a head passes
    the middle. Words that are neither are a pose of their own.
    """
    keys = [start]
    for move in wished:
        name = next((name for name in moves(move)[1]), move)
        expression, pose = keys[-1]
        if name in _MOVES and name not in POSES:
            keys.append((name, "facing the camera"))
        elif {name, pose} == {"turned left", "turned right"}:
            keys += [(expression, "facing the camera"), (expression, name)]
        else:
            keys.append((expression, name))
    return [key for number, key in enumerate(keys) if number == 0 or key != keys[number - 1]]
