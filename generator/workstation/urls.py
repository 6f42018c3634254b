from django.urls import path

from generator.styles.views import set_create, styles
from generator.workstation import views, views_pictures

urlpatterns = [
    path("create/", views.workstation, name="workstation"),
    path("create/composer/", views.composer_form, name="composer"),
    path("create/model/", views.model_state, name="workstation_model"),
    path("create/slot/<slug:role>/", views_pictures.slot, name="composer_slot"),
    path("create/choose/<slug:role>/", views_pictures.choose, name="composer_choose"),
    path("create/style/", views_pictures.style, name="composer_style"),
    path("create/styles/", styles, name="composer_styles"),
    path("create/sets/<slug:name>/", set_create, name="set_create"),
    path("create/images/", views.generation_create, name="generation_create"),
    path("create/history/", views.generation_history, name="generation_history"),
    path("generations/<uuid:id>/delete/", views.generation_delete, name="generation_delete"),
    path("generations/<uuid:id>/restore/", views.generation_restore, name="generation_restore"),
    path("generations/<uuid:id>/recreate/", views.generation_recreate, name="generation_recreate"),
]
