from django.urls import path

from generator.library import views, views_picture

urlpatterns = [
    path("library/", views.library, name="library"),
    path("library/delete/", views.delete, name="library_delete"),
    path("library/restore/", views.restore, name="library_restore"),
    path("library/move/", views.move, name="library_move"),
    path("library/download/", views.download, name="library_download"),
    path("library/folders/<uuid:id>/rename/", views.folder_rename, name="folder_rename"),
    path("library/folders/<uuid:id>/delete/", views.folder_delete, name="folder_delete"),
    path(
        "generations/<uuid:id>/pictures/<int:index>/",
        views_picture.generation_picture,
        name="generation_picture",
    ),
    path("pictures/<uuid:id>/", views_picture.picture, name="picture"),
    path("pictures/<uuid:id>/favourite/", views_picture.favourite, name="picture_favourite"),
    path("pictures/<uuid:id>/share/", views_picture.share, name="picture_share"),
    path("pictures/<uuid:id>/share/revoke/", views_picture.revoke, name="picture_revoke"),
    path("pictures/<uuid:id>/publish/", views_picture.publish, name="picture_publish"),
    path("pictures/<uuid:id>/folder/", views_picture.put, name="picture_put"),
    path("s/<slug:token>/", views_picture.shared, name="shared"),
]
