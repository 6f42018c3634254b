from django.urls import path

from generator.explore import views

urlpatterns = [
    path("explore/", views.explore, name="explore"),
    path("pictures/<uuid:id>/report/", views.report_picture, name="report_picture"),
    path("models/<uuid:id>/report/", views.report_model, name="report_model"),
]
