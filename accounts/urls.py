from django.urls import path

from accounts import dialog, views, views_keys

urlpatterns = [
    path("", views.account, name="account"),
    path("units/", views.units, name="account_units"),
    path("keys/", views_keys.api_keys, name="api_keys"),
    path("keys/<uuid:id>/revoke/", views_keys.api_key_revoke, name="api_key_revoke"),
    path("sign-in/", dialog.sign_in_dialog, name="sign_in_dialog"),
]
