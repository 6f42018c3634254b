"""What an API field holds, as bytes. Only pictures that need no round trip: no address is asked."""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from typing import TYPE_CHECKING

from billing.refusals import Refusal
from generator.assets.models import Asset

if TYPE_CHECKING:
    from accounts.models import User

_DATA = re.compile(r"\s*data:image/[\w.+-]+;base64,", re.I)
_OWN = re.compile(r"(?:https?://|/)[^?]*?([0-9a-f]{8}-[0-9a-f-]{27})", re.I)


def picture(user: User, value: str) -> bytes:
    """Raises Refusal("bad_image"|"bad_url"|"not_found")."""
    if own := _OWN.match(value):
        found = Asset.objects.filter(owner=user, pk=uuid.UUID(own[1])).first()
        if found is None:
            raise Refusal("not_found", "There is no such picture.", status=404)
        with found.file.open("rb") as file:
            return bytes(file.read())
    if "://" in value:
        raise Refusal("bad_url", "This address cannot be asked.", status=400)
    try:
        return base64.b64decode("".join(_DATA.sub("", value).split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refusal("bad_image", "This is neither an address nor a picture in base64.") from error
