"""One settings module. Blank settings are a whole product; each variable replaces one wall.

Environment (also read from `.env`): SECRET_KEY, SITE_URL, ALLOWED_HOSTS, DEBUG, VAR_DIR,
DATABASE_URL, REDIS_URL, BROKER_URL, EMAIL_URL, STRIPE_SECRET_KEY, STRIPE_WEBHOOK_SECRET,
STRIPE_API_BASE, ENGINE_IMAGE, COMMERCIAL_ONLY, TRUSTED_PROXY, ENGINE_THREADS,
FACE_DETECTOR, FACE_EMBEDDER, FETCH_ALLOW, BLOCKED_WORDS.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import environ
from csp.constants import NONE, SELF

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
env.read_env(BASE_DIR / ".env")

# --- where things are kept -------------------------------------------------
VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var")))
VAR_DIR.mkdir(parents=True, exist_ok=True)


def kept_secret(path: Path) -> str:
    """The installation's own secret, made once and readable by its owner only."""
    if not path.exists():
        draft = Path(f"{path}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(64))
        with suppress(FileExistsError):  # another process was first: its secret counts
            os.link(draft, path)
        draft.unlink()
    return path.read_text()


# The kept secret is as good as a given one, but only one machine knows it: studio.E006.
SECRET_KEY = env.str("SECRET_KEY", default="") or kept_secret(VAR_DIR / "secret_key")
SECRET_KEY_IS_KEPT = not env.str("SECRET_KEY", default="")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
DEBUG = env.bool("DEBUG", default=False)
SITE_NAME = "Likeness"
SITE_URL = env.str("SITE_URL", default="http://127.0.0.1:8000").rstrip("/")
_site = urlsplit(SITE_URL)
IS_HTTPS = _site.scheme == "https"
IS_LOCAL = _site.hostname in ("127.0.0.1", "localhost", "::1")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[]) or [_site.hostname or "localhost"]
ORIGINS = [f"{_site.scheme}://{_site.netloc}"]  # exact: who may open a socket
if IS_LOCAL:
    ALLOWED_HOSTS = [*ALLOWED_HOSTS, "127.0.0.1", "localhost", "[::1]"]
    _port = f":{_site.port}" if _site.port else ""
    ORIGINS = [f"{_site.scheme}://{host}{_port}" for host in ("127.0.0.1", "localhost", "[::1]")]

# --- apps ------------------------------------------------------------------
INSTALLED_APPS = [
    "studio",
    "generator",
    "billing",
    "accounts",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "channels",
    "csp",
    "django_htmx",
]
MIDDLEWARE = [
    "studio.middleware.MaxBodyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "studio.middleware.CompressTextMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "studio.middleware.PrivatePagesMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "studio.errors.RefusalMiddleware",
]
ROOT_URLCONF = "studio.urls"
ASGI_APPLICATION = "studio.asgi.application"
WSGI_APPLICATION = "studio.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "studio.context.site",
            ],
        },
    }
]

# --- database --------------------------------------------------------------
_embedded_database = f"sqlite:///{VAR_DIR / 'studio.sqlite3'}"
_db = env.db_url_config(env.str("DATABASE_URL", default="") or _embedded_database)
DATABASES = {"default": _db}
if "sqlite" in _db["ENGINE"]:
    # DEFERRED transactions gave thousands of "database is locked"; money wants FULL.
    _db["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
else:
    _db["CONN_HEALTH_CHECKS"] = True
    _db.setdefault("CONN_MAX_AGE", 0)  # under ASGI every request has a thread of its own
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- messages between processes --------------------------------------------
REDIS_URL = env.str("REDIS_URL", default="")
BROKER_URL = env.str("BROKER_URL", default="") or REDIS_URL  # redis:// or amqp://
IS_EMBEDDED = not BROKER_URL  # web and worker under one supervisor, doorbell by relay
if REDIS_URL:
    # channels_redis.core closes idle sockets with redis-py 8 and drops bursts; pubsub does not.
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [REDIS_URL]},
        }
    }
    CACHES = {
        name: {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            "KEY_PREFIX": prefix,
        }
        for name, prefix in (("default", ""), ("counters", "counters"))
    }
else:
    CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
            "LOCATION": VAR_DIR / "cache",
            "OPTIONS": {"MAX_ENTRIES": 20_000},  # 300 would throw rate limits away
        },
        # What programs ask in a minute: a file for each would take longer than most answers.
        "counters": {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "LOCATION": "counters",
            "OPTIONS": {"MAX_ENTRIES": 20_000},
        },
    }

# --- people ----------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGOUT_REDIRECT_URL = "/"
CSRF_FAILURE_VIEW = "studio.errors.csrf_failure"
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_FORMS = {
    "login": "accounts.forms.LoginForm",
    "signup": "accounts.forms.SignupForm",
    "change_password": "accounts.forms.ChangePasswordForm",
    "set_password": "accounts.forms.SetPasswordForm",
    "request_login_code": "accounts.forms.RequestLoginCodeForm",
    "reset_password": "accounts.forms.ResetPasswordForm",
    "reset_password_from_key": "accounts.forms.ResetPasswordKeyForm",
}
ACCOUNT_SESSION_REMEMBER = True  # two weeks, see SESSION_COOKIE_AGE
ACCOUNT_LOGIN_ON_PASSWORD_RESET = True
ACCOUNT_PASSWORD_RESET_BY_CODE_ENABLED = True
ACCOUNT_RATE_LIMITS = {
    "login": "10/m/ip",
    "login_failed": "10/m/ip,5/300s/key",
    # On the own computer everybody has the same address.
    "signup": "60/h/ip" if IS_LOCAL else "5/h/ip",
    "request_login_code": "10/m/ip,3/m/key",
    "reset_password": "5/h/ip,5/h/key",
}
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_DEFAULT_HTTP_PROTOCOL = _site.scheme
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_PASSKEY_SIGNUP_ENABLED = False
MFA_FORMS = {
    "login_webauthn": "accounts.passkeys.LoginForm",
    "authenticate_webauthn": "accounts.passkeys.AuthenticateForm",
    "reauthenticate_webauthn": "accounts.passkeys.ReauthenticateForm",
    "add_webauthn": "accounts.passkeys.AddForm",
}
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = IS_LOCAL
USERSESSIONS_TRACK_ACTIVITY = False

# --- e-mail ----------------------------------------------------------------
EMAIL_URL = env.str("EMAIL_URL", default="")
HAS_MAIL = bool(EMAIL_URL)
if HAS_MAIL:
    vars().update(env.email_url("EMAIL_URL"))
else:
    EMAIL_BACKEND = "accounts.mail.PageBackend"
DEFAULT_FROM_EMAIL = env.str(
    "DEFAULT_FROM_EMAIL", default=f"{SITE_NAME} <no-reply@{_site.hostname}>"
)
# Without mail, codes appear on the page, but only at the computer itself: see accounts/mail.py.
ACCOUNT_LOGIN_BY_CODE_ENABLED = HAS_MAIL or IS_LOCAL
ACCOUNT_EMAIL_VERIFICATION = "mandatory" if HAS_MAIL else "none"
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = HAS_MAIL
MFA_ALLOW_UNVERIFIED_EMAIL = not HAS_MAIL  # nobody could verify theirs

# --- sessions, cookies, headers ---------------------------------------------
SESSION_COOKIE_AGE = 14 * 24 * 3600
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_HTTPS
SESSION_COOKIE_NAME = "__Host-sessionid" if IS_HTTPS else "sessionid"
CSRF_COOKIE_NAME = "__Host-csrftoken" if IS_HTTPS else "csrftoken"
CSRF_TRUSTED_ORIGINS = ORIGINS if IS_HTTPS else []
SECURE_SSL_REDIRECT = IS_HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz/$"]  # asked from inside, without TLS
SECURE_HSTS_SECONDS = 31_536_000 if IS_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = IS_HTTPS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if env.bool("TRUSTED_PROXY", default=False):  # a proxy that sets and strips the header itself
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    ALLAUTH_TRUSTED_PROXY_COUNT = 1  # rate limits count the person, not the proxy

# --- payments ----------------------------------------------------------------
STRIPE_SECRET_KEY = env.str("STRIPE_SECRET_KEY", default="")  # blank: nothing is for sale
STRIPE_WEBHOOK_SECRET = env.str("STRIPE_WEBHOOK_SECRET", default="")  # blank: asked once an hour
STRIPE_API_BASE = env.str("STRIPE_API_BASE", default="").rstrip("/")  # of a simulator
# Where a form may lead to: the browser follows the answer to Stripe's own pages.
STRIPE_PAGES = (
    [STRIPE_API_BASE]
    if STRIPE_API_BASE
    else ["https://checkout.stripe.com", "https://billing.stripe.com"]
)

# Safari: 'self' covers no socket; and a policy cannot name an IPv6 address.
_sockets = [origin.replace("http", "ws", 1) for origin in ORIGINS if "[" not in origin]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "blob:"],
        "media-src": [SELF, "blob:"],
        "font-src": [SELF],
        "connect-src": [SELF, *_sockets],
        "manifest-src": [SELF],
        "form-action": [SELF, *(STRIPE_PAGES if STRIPE_SECRET_KEY else [])],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "object-src": [NONE],
        **({"upgrade-insecure-requests": True} if IS_HTTPS else {}),
    }
}

# --- uploads ---------------------------------------------------------------
MAX_BODY = 256 * 1024  # bytes, for every request but an upload
UPLOAD_MAX = 21 * 1024 * 1024  # bytes of a request to an upload address
API_MAX_BODY = 64 * 1024 * 1024  # bytes of a program's request: pictures come as base64
API_WAIT_S = env.float("API_WAIT_S", default=55.0)  # how long an answer waits for its pictures
DATA_UPLOAD_MAX_MEMORY_SIZE = API_MAX_BODY  # studio.bodies holds every other path to its own
DATA_UPLOAD_MAX_NUMBER_FIELDS = 200
DATA_UPLOAD_MAX_NUMBER_FILES = 1
FILE_UPLOAD_PERMISSIONS = 0o640
# host:port pairs that are asked though they are not public: see generator/assets/fetch.py.
FETCH_ALLOW = env.list("FETCH_ALLOW", default=[])

# --- files -----------------------------------------------------------------
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = VAR_DIR / "static"
STATIC_ROOT.mkdir(exist_ok=True)  # whitenoise warns when it is missing
MEDIA_ROOT = VAR_DIR / "media"  # never served by path: see generator/assets
WHITENOISE_USE_FINDERS = True  # `manage.py studio` needs no collectstatic
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

# --- product ---------------------------------------------------------------
BLOCKED_WORDS = env.str("BLOCKED_WORDS", default="")  # a file: see generator/jobs/blocked.py
PLANS_FILE = Path(env.str("PLANS_FILE", default=str(BASE_DIR / "billing" / "plans.toml")))
DEFAULT_PLAN = env.str("DEFAULT_PLAN", default="")  # blank: the file's own default
ENGINE_IMAGE = env.str("ENGINE_IMAGE", default="") or "miniature"
ENGINE_WEIGHTS = env.str("ENGINE_WEIGHTS", default="")  # blank: the engine's own folder
COMMERCIAL_ONLY = env.bool("COMMERCIAL_ONLY", default=False)
# ONNX files with which the engines for a GPU find faces and tell them apart: YuNet and AuraFace, or
# others in their formats. Blank: likeness is not measured there, and pages say so.
FACE_DETECTOR = env.str("FACE_DETECTOR", default="")
FACE_EMBEDDER = env.str("FACE_EMBEDDER", default="")
ENGINE_THREADS = env.int("ENGINE_THREADS", default=0)  # 0: let the engine decide

# --- language and time ------------------------------------------------------
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    # They tell of every thread that ends, and of every request.
    "loggers": {"dramatiq": {"level": "WARNING"}, "stripe": {"level": "WARNING"}},
}
