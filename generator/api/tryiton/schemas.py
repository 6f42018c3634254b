"""What goes in and comes out. What the original does not publish says so."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from ninja import Field, Schema

from generator.api.tryiton.own import OURS

Gender = Literal["man", "woman"]
Category = Literal["fullMakeover", "background", "clothes", "hair"]


class ModelOut(Schema):
    """A model of the account: used ones, and those that may still be trained."""

    id: str = Field(description=f"What train-model takes as modelId. {OURS}")
    is_used: bool = Field(description="Its training has begun; it cannot be trained again.")
    is_trained: bool = Field(description="Its training is done.")
    email_sent: bool = Field(description="May be ignored: always false here.")
    gender: Gender | None = Field(None, description=f"As it was trained. {OURS}")
    created_at: datetime = Field(description=OURS)


class StyleOut(Schema):
    """A style of one gender."""

    id: str = Field(description=f"What train-model takes among its styles. {OURS}")
    name: str = Field(description=OURS)
    gender: Gender = Field(description=OURS)
    previewUrl: str = Field(description=f"A picture of somebody in this style. {OURS}")


class UploadOut(Schema):
    """A picture that can be used for 24 hours, as a style or as a photo."""

    status: str = Field(description=f'"success". {OURS}')
    imageUrl: str = Field(description=f"For imageUrls and imageUrl; opens without a key. {OURS}")
    imageKey: str = Field(description=f"For styles. {OURS}")
    expiresAt: datetime = Field(description=f"Deleted then, unless it was used. {OURS}")


class TrainIn(Schema):
    """Who is to be learnt, and in which styles they are drawn afterwards."""

    modelId: str = Field(description=f"One that is not used yet. {OURS}")
    gender: Gender
    styles: list[str] = Field(
        description="At least one of the gender's, or keys of pictures uploaded in the last 24 "
        "hours. Each is drawn once when the training is done, and charged then."
    )
    customizations: str = Field(
        "",
        description='Features, separated by ", ": "wearing glasses, thick beard". What the '
        "person does not have is not mentioned.",
    )
    imageUrls: list[str] = Field(
        description="1 to 20 photos of one person, 640 × 640. Others are scaled, and cropped "
        "where they are not square: see warnings."
    )
    platform: Literal["modal"] | None = Field(
        None, description=f"Changes nothing: this studio trains by itself. {OURS}"
    )


class TrainOut(Schema):
    """The training has begun."""

    status: str = Field(description=f'"success". {OURS}')
    message: str = Field(description=OURS)
    modelId: str = Field(description=OURS)
    warnings: list[str] = Field(description=f"What was changed of what was sent. {OURS}")


class ResultOut(Schema):
    """What came of one style."""

    style: str = Field(description=f"As it was sent. {OURS}")
    status: str = Field(description=f'"waiting", "processing", "success" or "error". {OURS}')
    message: str = Field("", description=f"Why there is no picture. {OURS}")
    imageUrl: str | None = Field(None, description=f"Opens for 24 hours without a key. {OURS}")
    imageKey: str | None = Field(None, description=f"For recreate, in place of the URL. {OURS}")


class ResultsOut(Schema):
    """The pictures of a model, as they come."""

    status: str = Field(description=f'"processing", "success" or "error". {OURS}')
    message: str = Field(description=f"How far it is, or what is wrong. {OURS}")
    modelId: str = Field(description=OURS)
    imageUrls: list[str] = Field(description=f"Those that are there. {OURS}")
    imageKeys: list[str] = Field(description=f"In the same order. {OURS}")
    images: list[ResultOut] = Field(description=f"One for each style. {OURS}")


class RecreateIn(Schema):
    """A picture, and what shall be different."""

    imageUrl: str = Field(description="Of results, of upload-image, or any other picture's.")
    category: Category
    prompt: str = Field(description="What it shall be instead.")


class RecreateOut(Schema):
    """Addresses of pictures that are still to be drawn."""

    status: str
    message: str
    imageUrls: list[str] = Field(
        description="404 until the picture is there, 410 if it was not made: ask every 5 seconds."
    )
    imageKeys: list[str]
