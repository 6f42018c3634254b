from django.urls import path

from billing import views
from billing.payments.urls import urlpatterns as payments

urlpatterns = [
    *payments,
    path("usage/", views.usage, name="usage"),
    path("usage/credits.csv", views.statement_csv, name="statement_csv"),
    path("balance/", views.balance, name="balance"),
]
