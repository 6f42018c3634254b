from django.urls import path

from accounts import dialog, views

urlpatterns = [
    path("", views.account, name="account"),
    path("units/", views.units, name="account_units"),
    path("sign-in/", dialog.sign_in_dialog, name="sign_in_dialog"),
]
