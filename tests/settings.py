"""The product's own settings, kept away from the developer's `.env` and `var/`.

`python -m tests.servers -- pytest …` sets DATABASE_URL and REDIS_URL before.
"""

import os
import re
import tempfile

_WALLS = ("DATABASE_URL", "REDIS_URL", "BROKER_URL", "EMAIL_URL")
_MONEY = ("STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "STRIPE_API_BASE")
for _name in (*_WALLS, *_MONEY, "FETCH_ALLOW"):
    os.environ.setdefault(_name, "")  # blank: the embedded part, whatever `.env` says
# Several pytest processes share a Redis: each has a database and channels of its own.
_PROCESS = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
if os.environ["REDIS_URL"] and _PROCESS:
    os.environ["REDIS_URL"] = re.sub(r"/\d+$", f"/{_PROCESS}", os.environ["REDIS_URL"])
os.environ["SITE_URL"] = "http://127.0.0.1:8000"
# Two files of tests at a time: a second thread of torch waits for the first by spinning (six
# times slower). Read when torch is imported, here and in every process that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["VAR_DIR"] = tempfile.mkdtemp(prefix="likeness-tests-")

from studio.settings import *  # noqa: E402, F403

# Argon2 is slow on purpose; its own test names it.
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.MD5PasswordHasher",
    "django.contrib.auth.hashers.Argon2PasswordHasher",
]

if "sqlite" in DATABASES["default"]["ENGINE"]:  # noqa: F405
    # A file, as in the product: a shared database in memory locks by other rules.
    DATABASES["default"]["TEST"] = {"NAME": str(VAR_DIR / "tests.sqlite3")}  # noqa: F405

if REDIS_URL:  # noqa: F405
    _TALK = {"hosts": [REDIS_URL], "prefix": f"tests{_PROCESS}"}  # noqa: F405
    CHANNEL_LAYERS["default"]["CONFIG"] = _TALK  # noqa: F405
