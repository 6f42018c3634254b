from django.apps import AppConfig

from studio import checks  # registers them


class StudioConfig(AppConfig):
    name = "studio"
    checks = checks
