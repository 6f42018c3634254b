"""The studio's own settings and one address more: the least a signed-in person can get."""

from studio.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks._minimal_urls"
