"""Addresses of pictures that open without signing in, for a day: what a program hands on."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner
from django.urls import reverse

from generator.assets.models import Asset

OPEN_FOR = timedelta(hours=24)
_SIGNER = TimestampSigner(salt="generator.assets.links")


def signed(asset: Asset) -> str:
    """The whole address; its signature is of this asset's id and the moment."""
    return f"{settings.SITE_URL}{reverse('asset', args=[asset.pk])}?signature={signature(asset.pk)}"


def signature(id: object) -> str:
    """Of an asset's id, or of what else names one picture."""
    return _SIGNER.sign(str(id)).split(":", 1)[1]


def opens(id: object, signature: str) -> bool:
    """Whether an address that was signed for this picture is still good."""
    try:
        _SIGNER.unsign(f"{id}:{signature}", max_age=OPEN_FOR)
    except BadSignature:
        return False
    return True
