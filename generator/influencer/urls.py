from django.urls import path

from generator.influencer import views

urlpatterns = [
    path("influencer/", views.influencer, name="influencer"),
    path("influencer/form/", views.influencer_form, name="influencer_form"),
    path("influencer/faces/", views.influencer_generate, name="influencer_generate"),
    path("influencer/pose/", views.influencer_pose, name="influencer_pose"),
    path("influencer/history/", views.influencer_history, name="influencer_history"),
    path(
        "influencer/selected/<uuid:id>/<int:index>/",
        views.influencer_selected,
        name="influencer_selected",
    ),
]
