from django.urls import path

from generator.webhooks import views

urlpatterns = [
    path("account/webhooks/", views.webhooks, name="webhooks"),
    path("account/webhooks/secret/", views.secret, name="webhook_secret"),
    path("account/webhooks/secret/roll/", views.roll_secret, name="webhook_secret_roll"),
    path("account/webhooks/deliveries/", views.deliveries, name="deliveries"),
    path("account/webhooks/deliveries/<uuid:id>/", views.delivery, name="delivery"),
    path("account/webhooks/deliveries/<uuid:id>/again/", views.send_again, name="delivery_again"),
    path("account/webhooks/<uuid:id>/enable/", views.enable, name="webhook_enable"),
    path("account/webhooks/<uuid:id>/disable/", views.disable, name="webhook_disable"),
    path("account/webhooks/<uuid:id>/test/", views.send_test, name="webhook_test"),
    path("account/webhooks/<uuid:id>/delete/", views.delete, name="webhook_delete"),
]
