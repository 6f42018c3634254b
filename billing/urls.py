from django.urls import path

from billing import views

urlpatterns = [
    path("usage/", views.usage, name="usage"),
    path("usage/credits.csv", views.statement_csv, name="statement_csv"),
    path("balance/", views.balance, name="balance"),
]
