"""The product's settings, and addresses for the pages of errors that cannot be asked for."""

from studio.settings import *  # noqa: F403

ROOT_URLCONF = "tests.screens_urls"
ACCOUNT_REAUTHENTICATION_TIMEOUT = 24 * 3600  # s; a round of pictures takes its time
# Prices and buttons are shown; nothing is ever asked of Stripe by looking at a page.
STRIPE_SECRET_KEY = "sk_test_screens"
