from django.urls import path

from billing.payments import views

urlpatterns = [
    path("plans/", views.plans, name="plans"),
    path("checkout/plan/", views.checkout_plan, name="checkout_plan"),
    path("checkout/credits/", views.checkout_package, name="checkout_package"),
    path("checkout/done/", views.checkout_done, name="checkout_done"),
    path("checkout/canceled/", views.checkout_canceled, name="checkout_canceled"),
    path("portal/", views.portal, name="portal"),
    path("stripe/", views.webhook, name="stripe_webhook"),
]
