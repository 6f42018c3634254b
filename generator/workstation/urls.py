from django.urls import path

from generator.workstation import views

urlpatterns = [
    path("create/", views.workstation, name="workstation"),
    path("create/model/", views.model_state, name="workstation_model"),
    path("create/images/", views.generation_create, name="generation_create"),
    path("create/history/", views.generation_history, name="generation_history"),
    path(
        "generations/<uuid:id>/pictures/<int:index>/",
        views.generation_picture,
        name="generation_picture",
    ),
    path("generations/<uuid:id>/delete/", views.generation_delete, name="generation_delete"),
    path("generations/<uuid:id>/recreate/", views.generation_recreate, name="generation_recreate"),
]
