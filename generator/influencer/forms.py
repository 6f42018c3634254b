"""The influencer form: words and numbers from a stranger become Attributes, or sentences."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.datastructures import MultiValueDict

from billing.plans import Plan
from generator.engine import attributes as words
from generator.engine.attributes import Attributes, InvalidAttribute
from generator.engine.countries import COUNTRIES

TEXT_MAX = 500  # code points, as generator/engine/attributes.py
FACES_MAX = 4  # pictures in one request of this form
ADVANCED = ("prompt_start", "prompt_end", "negative_prompt", "pose", "pose_file")
NOT_ATTRIBUTES = ("pose", "pose_file", "recreate", "count")
# What people type for countries that the list calls otherwise.
ALIASES = {
    "america": "US", "usa": "US", "uk": "GB", "britain": "GB", "great britain": "GB",
    "england": "GB", "scotland": "GB", "wales": "GB", "holland": "NL", "the netherlands": "NL",
    "turkiye": "TR", "czech republic": "CZ", "cote d'ivoire": "CI", "uae": "AE", "burma": "MM",
    "cabo verde": "CV", "timor-leste": "TL", "vatican": "VA", "macau": "MO", "swaziland": "SZ",
    "macedonia": "MK", "bosnia": "BA", "democratic republic of the congo": "CD",
}  # fmt: skip
DEFAULTS = Attributes(gender="woman", age=26, height_cm=168, weight_kg=60, country="US")


def folded(text: str) -> str:
    """For comparing: lower case, without accents, with one kind of apostrophe."""
    plain = unicodedata.normalize("NFKD", text.strip().replace("’", "'"))
    return "".join(letter for letter in plain if not unicodedata.combining(letter)).casefold()


CODES = ALIASES | {folded(name): code for code, name in COUNTRIES.items()}


class Slider(forms.NumberInput):
    input_type = "range"


def slider(label: str, bounds: tuple[int, int], unit: str) -> forms.IntegerField:
    attrs = {"min": bounds[0], "max": bounds[1], "step": 1, "data-unit": unit}
    sentence = f"Choose a whole number from {bounds[0]} to {bounds[1]}."
    return forms.IntegerField(
        label=label,
        min_value=bounds[0],
        max_value=bounds[1],
        widget=Slider(attrs=attrs),
        error_messages=dict.fromkeys(("invalid", "required", "min_value", "max_value"), sentence),
    )


def choose_or_type(label: str, datalist: str, *, required: bool = False) -> forms.CharField:
    attrs = {"class": "input", "list": datalist, "autocomplete": "off"}
    if not required:
        attrs["data-may-be-empty"] = "yes"
    placeholder = "Search" if datalist == "countries" else "Choose or type"
    return forms.CharField(
        label=label,
        required=required,
        max_length=TEXT_MAX,
        widget=forms.TextInput(attrs=attrs | {"placeholder": placeholder}),
    )


def free_text(label: str, placeholder: str = "", rows: int = 2) -> forms.CharField:
    attrs = {"class": "input", "rows": rows, "placeholder": placeholder}
    return forms.CharField(
        label=label, required=False, max_length=TEXT_MAX, widget=forms.Textarea(attrs=attrs)
    )


class FaceForm(forms.Form):
    """`plan` decides whether the advanced settings exist; without it they are ignored."""

    use_required_attribute = False
    error_css_class = "is-wrong"

    gender = forms.ChoiceField(
        label="Gender",
        choices=[("man", "Man"), ("woman", "Woman"), ("secrecy", "Secrecy")],
        widget=forms.RadioSelect,
    )
    age = slider("Age", words.AGE, "age")
    height_cm = slider("Height", words.HEIGHT_CM, "height")
    weight_kg = slider("Weight", words.WEIGHT_KG, "weight")
    country = choose_or_type("Country", "countries", required=True)
    country2 = choose_or_type("Country 2", "countries")
    build = choose_or_type("Build", "builds")
    eyes = choose_or_type("Eyes", "eyes")
    hair_style = choose_or_type("Hair style", "hair-styles")
    hair_color = choose_or_type("Hair color", "hair-colors")
    dimple = forms.BooleanField(label="Dimple", required=False)
    beard = forms.BooleanField(label="Beard", required=False)
    suntan = forms.BooleanField(label="Suntan", required=False)
    details = free_text(
        "Bespoke Details",
        "unique traits, aesthetic nuances, or specific style requirements not covered above.",
        3,
    )
    prompt_start = free_text("Prompt start")
    prompt_end = free_text("Prompt end")
    negative_prompt = free_text("Negative prompt")
    pose = forms.UUIDField(label="Pose reference image", required=False)
    pose_file = forms.FileField(label="Pose reference image", required=False)
    recreate = forms.CharField(label="Keep this face", required=False, max_length=60)
    count = forms.IntegerField(
        label="Pictures", min_value=1, max_value=FACES_MAX, initial=2, required=False
    )

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        files: MultiValueDict[str, UploadedFile[Any]] | None = None,
        *,
        plan: Plan,
        **given: Any,
    ) -> None:
        super().__init__(data, files, **given)
        self.faces_max = min(FACES_MAX, plan.max_count)
        self.attributes: Attributes | None = None  # set by a clean form
        if not plan.advanced_settings:
            for name in ADVANCED:
                del self.fields[name]
        for name, field in self.fields.items():
            if name in self.errors:
                field.widget.attrs["aria-invalid"] = "true"

    @property
    def advanced_is_used(self) -> bool:
        """Whether the advanced settings should stand open."""
        names = [name for name in ADVANCED if name in self.fields]
        return any(self[name].value() or self[name].errors for name in names)

    def clean_country(self) -> str:
        return country_code(self.cleaned_data["country"])

    def clean_country2(self) -> str:
        typed = self.cleaned_data["country2"]
        return country_code(typed) if typed else ""

    def clean_count(self) -> int:
        count = int(self.cleaned_data["count"] or 1)
        if count > self.faces_max:
            raise forms.ValidationError(f"Your plan draws at most {self.faces_max} at once.")
        return count

    def clean(self) -> dict[str, Any]:
        values = dict(self.cleaned_data)
        if self.errors:
            return values
        for name in NOT_ATTRIBUTES:
            values.pop(name, None)
        try:
            self.attributes = Attributes.from_dict(values)
        except InvalidAttribute as wrong:
            self.add_error(wrong.field if wrong.field in self.fields else None, wrong.sentence)
        return self.cleaned_data


def country_code(typed: str) -> str:
    """ISO 3166-1 alpha-2 for a name or a code. Raises ValidationError."""
    code = CODES.get(folded(typed)) or typed.strip().upper()
    if code not in COUNTRIES:
        raise forms.ValidationError("Choose a country from the list.")
    return code


def initial_from(attributes: Attributes) -> dict[str, Any]:
    """The form's starting values; countries by their names, as people type them."""
    values: dict[str, Any] = attributes.to_dict()
    for field in ("country", "country2"):
        values[field] = COUNTRIES.get(str(values[field]), "")
    return values
