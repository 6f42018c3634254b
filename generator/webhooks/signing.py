"""How a receiver knows that a message is ours and new.

`t=<unix seconds>,v1=<hex>`: HMAC-SHA256 with the account's secret, the whole of it as UTF-8, over
the seconds, a full stop and the very bytes of the body. Whoever checks refuses old seconds.
"""

from __future__ import annotations

import hmac


def signature(secret: str, body: bytes, *, at: int) -> str:
    signed = f"{at}.".encode() + body
    return f"t={at},v1={hmac.digest(secret.encode(), signed, 'sha256').hex()}"
