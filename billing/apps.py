from django.apps import AppConfig
from django.core.checks import register


class BillingConfig(AppConfig):
    name = "billing"

    def ready(self) -> None:
        from billing.checks import check_plans  # models are loaded only now

        register(check_plans)
