from django.urls import path

from generator.portraits import views, views_sheet

urlpatterns = [
    path("models/", views.portrait_models, name="portrait_models"),
    path("models/<uuid:id>/", views.portrait_model, name="portrait_model"),
    path("models/<uuid:id>/card/", views.portrait_model_card, name="portrait_model_card"),
    path("models/<uuid:id>/edit/", views.portrait_model_edit, name="portrait_model_edit"),
    path("models/<uuid:id>/delete/", views.portrait_model_delete, name="portrait_model_delete"),
    path("models/<uuid:id>/views/", views_sheet.portrait_model_views, name="portrait_model_views"),
    path(
        "models/<uuid:id>/views/<slug:name>/",
        views_sheet.portrait_model_view,
        name="portrait_model_view",
    ),
    path("models/<uuid:id>/train/", views.portrait_model_train, name="portrait_model_train"),
]
