"""Which looks a country leans to: priors for skin, hair, eyes, nose and lips. Nothing is drawn.

Only priors: they fill what a form leaves open, and two countries blend. Skin runs from 0 (fair)
to 1 (deep); the other numbers from -1 to 1.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from generator.engine.countries import COUNTRIES


@dataclass(frozen=True)
class Look:
    """One region's leaning. `hair` and `eyes` are weighted words."""

    skin: float
    hair: tuple[tuple[str, float], ...]
    eyes: tuple[tuple[str, float], ...]
    eye_tilt: float
    eye_openness: float
    nose_width: float
    lips: float


_FAIR_HAIR: Final = (("blonde", 4.0), ("platinum", 1.5), ("light brown", 3.0), ("red", 1.0))
_MIXED_HAIR: Final = (
    ("dark brown", 3.0), ("light brown", 3.0), ("blonde", 2.0), ("red", 0.6), ("black", 0.8),
)  # fmt: skip
_RED_HAIR: Final = (("red", 4.0), ("light brown", 3.0), ("dark brown", 2.0), ("blonde", 1.5))
_BROWN_HAIR: Final = (("dark brown", 5.0), ("black", 3.0), ("light brown", 1.5))
_BLACK_HAIR: Final = (("black", 8.0), ("dark brown", 2.0))
_BLUE_EYES: Final = (("blue", 5.0), ("grey", 2.0), ("green", 2.0), ("hazel", 1.0))
_LIGHT_EYES: Final = (
    ("blue", 3.0), ("green", 2.5), ("grey", 1.0), ("hazel", 2.0), ("brown", 3.0), ("amber", 0.5),
)  # fmt: skip
_WARM_EYES: Final = (("brown", 5.0), ("hazel", 2.0), ("dark brown", 3.0), ("green", 1.0),
                     ("amber", 1.0))  # fmt: skip
_DARK_EYES: Final = (("dark brown", 6.0), ("brown", 3.0), ("amber", 0.6), ("hazel", 0.4))

# name -> skin, hair, eyes, eye tilt, eye openness, nose width, lips
LOOKS: Final[dict[str, Look]] = {
    "nordic": Look(0.05, _FAIR_HAIR, _BLUE_EYES, 0.0, 0.1, -0.4, -0.3),
    "british": Look(0.07, _MIXED_HAIR, _LIGHT_EYES, -0.1, 0.1, -0.3, -0.4),
    "irish": Look(0.02, _RED_HAIR, _BLUE_EYES, -0.1, 0.2, -0.3, -0.4),
    "german": Look(0.09, _MIXED_HAIR, _LIGHT_EYES, 0.0, 0.0, -0.2, -0.3),
    "french": Look(0.14, _MIXED_HAIR, _LIGHT_EYES, 0.0, 0.1, -0.2, 0.0),
    "slavic": Look(0.08, _MIXED_HAIR, _BLUE_EYES, 0.25, 0.0, -0.2, 0.0),
    "balkan": Look(0.18, _BROWN_HAIR, _LIGHT_EYES, 0.1, 0.1, -0.1, 0.0),
    "iberian": Look(0.23, _BROWN_HAIR, _WARM_EYES, 0.0, 0.2, -0.1, 0.1),
    "italian": Look(0.22, _BROWN_HAIR, _WARM_EYES, 0.1, 0.2, -0.1, 0.2),
    "greek": Look(0.25, _BROWN_HAIR, _WARM_EYES, 0.0, 0.2, 0.0, 0.1),
    "turkish": Look(0.27, _BROWN_HAIR, _WARM_EYES, 0.15, 0.2, 0.0, 0.1),
    "levantine": Look(0.30, _BROWN_HAIR, _WARM_EYES, 0.2, 0.4, 0.1, 0.2),
    "persian": Look(0.28, _BLACK_HAIR, _WARM_EYES, 0.2, 0.5, 0.0, 0.2),
    "arab": Look(0.40, _BLACK_HAIR, _DARK_EYES, 0.2, 0.4, 0.1, 0.2),
    "maghreb": Look(0.38, _BLACK_HAIR, _WARM_EYES, 0.1, 0.3, 0.1, 0.2),
    "central asian": Look(0.26, _BLACK_HAIR, _DARK_EYES, 0.5, -0.5, 0.1, 0.0),
    "north indian": Look(0.48, _BLACK_HAIR, _DARK_EYES, 0.1, 0.5, 0.1, 0.2),
    "south indian": Look(0.68, _BLACK_HAIR, _DARK_EYES, 0.0, 0.6, 0.3, 0.4),
    "chinese": Look(0.14, _BLACK_HAIR, _DARK_EYES, 0.6, -0.8, 0.1, 0.0),
    "japanese": Look(0.12, _BLACK_HAIR, _DARK_EYES, 0.4, -0.7, 0.0, -0.1),
    "korean": Look(0.08, _BLACK_HAIR, _DARK_EYES, 0.5, -0.9, 0.0, 0.0),
    "south-east asian": Look(0.36, _BLACK_HAIR, _DARK_EYES, 0.4, -0.4, 0.4, 0.4),
    "filipino": Look(0.42, _BLACK_HAIR, _DARK_EYES, 0.3, -0.2, 0.4, 0.3),
    "mexican": Look(0.40, _BLACK_HAIR, _DARK_EYES, 0.2, 0.0, 0.2, 0.2),
    "brazilian": Look(0.45, _BROWN_HAIR, _WARM_EYES, 0.1, 0.2, 0.3, 0.5),
    "andean": Look(0.46, _BLACK_HAIR, _DARK_EYES, 0.3, -0.2, 0.3, 0.1),
    "caribbean": Look(0.72, _BLACK_HAIR, _DARK_EYES, 0.0, 0.3, 0.6, 0.7),
    "west african": Look(0.90, _BLACK_HAIR, _DARK_EYES, 0.1, 0.2, 0.8, 0.9),
    "east african": Look(0.82, _BLACK_HAIR, _DARK_EYES, 0.2, 0.4, 0.1, 0.5),
    "southern african": Look(0.78, _BLACK_HAIR, _DARK_EYES, 0.2, 0.0, 0.7, 0.7),
    "pacific": Look(0.55, _BLACK_HAIR, _DARK_EYES, 0.1, 0.1, 0.6, 0.6),
}

_MEMBERS: Final = {
    "nordic": "SE NO FI DK IS AX FO SJ GL EE",
    "british": "GB US CA AU NZ GG JE IM GI FK SH BM IO GS PM UM AQ HM CX CC NF BV",
    "irish": "IE",
    "german": "DE AT CH NL LI LU BE",
    "french": "FR MC BL TF",
    "slavic": "RU UA BY PL CZ SK LT LV SI",
    "balkan": "RS HR BA ME MK AL BG RO MD HU XK",
    "iberian": "ES PT AD AR UY CL",
    "italian": "IT SM VA MT",
    "greek": "GR CY",
    "turkish": "TR AZ GE AM",
    "levantine": "LB SY JO PS IL",
    "persian": "IR AF TJ",
    "arab": "SA AE QA KW BH OM YE IQ EG",
    "maghreb": "MA DZ TN LY EH MR",
    "central asian": "KZ KG UZ TM MN",
    "north indian": "IN PK NP BT",
    "south indian": "LK BD MV MU",
    "chinese": "CN TW HK MO SG",
    "japanese": "JP",
    "korean": "KR KP",
    "south-east asian": "TH VN LA KH MM MY ID BN TL",
    "filipino": "PH GU MP PW",
    "mexican": "MX GT HN SV NI CR PA CO VE BZ EC",
    "brazilian": "BR PR CU DO CV RE SC",
    "andean": "PE BO PY",
    "caribbean": "JM HT BB BS TT LC VC GD DM KN AG AI MS TC VG VI KY AW CW SX MF BQ GP MQ GF GY SR",
    "west african": "NG GH SN GM GN GW SL LR CI BF ML NE TG BJ CM GA GQ CG CD CF ST TD",
    "east african": "ET ER SO DJ KE UG TZ RW BI SD SS KM YT MG",
    "southern african": "ZA NA BW ZW ZM MW MZ AO LS SZ",
    "pacific": "FJ PG SB VU NC PF WS AS TO TV KI NR NU CK TK WF MH FM PN",
}
LOOK_OF: Final[dict[str, str]] = {
    code: look for look, codes in _MEMBERS.items() for code in codes.split() if code in COUNTRIES
}


def looks_of(country: str, country2: str) -> list[Look]:
    """The one or two looks that blend in a person."""
    return [LOOKS[LOOK_OF[code]] for code in (country, country2) if code]


def mean(looks: list[Look], field: str) -> float:
    """The blend of one number."""
    return sum(float(getattr(look, field)) for look in looks) / len(looks)


def pick(looks: list[Look], field: str, rng: random.Random) -> str:
    """A weighted word of one of the looks."""
    table: tuple[tuple[str, float], ...] = getattr(rng.choice(looks), field)
    return rng.choices([word for word, _ in table], [weight for _, weight in table])[0]
