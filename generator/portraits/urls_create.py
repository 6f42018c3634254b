from django.urls import path

from generator.portraits import views_create

urlpatterns = [
    path("models/new/", views_create.portrait_model_new, name="portrait_model_new"),
    path("models/new/private/", views_create.portrait_model_private, name="portrait_model_private"),
]
