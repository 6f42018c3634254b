from django.urls import path

from generator.assets import views, views_upload

urlpatterns = [
    path("uploads/", views_upload.upload_create, name="upload_create"),
    path("uploads/preview/", views_upload.reference_preview, name="reference_preview"),
    path("uploads/<uuid:id>/crop/", views_upload.upload_crop, name="upload_crop"),
    path("uploads/<uuid:id>/turn/", views_upload.upload_turn, name="upload_turn"),
    path("uploads/<uuid:id>/accept/", views_upload.upload_accept, name="upload_accept"),
    path("uploads/<uuid:id>/delete/", views_upload.upload_delete, name="upload_delete"),
    path("media/<uuid:id>/", views.asset, name="asset"),
]
