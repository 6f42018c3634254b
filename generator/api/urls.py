from django.urls import URLPattern, URLResolver, path

from generator.api import account, assets, generations, hooks, jobs, portrait_models
from generator.api.docs import docs
from generator.api.moving import moving
from generator.api.own import api
from generator.api.phota import pictures, profiles
from generator.api.phota.api import api as phota
from generator.api.tryiton import routes as tryiton
from generator.api.tryiton.own import api as tryiton_api

for router in (
    account.router, portrait_models.router, generations.router, jobs.router, assets.router,
    hooks.router,
):  # fmt: skip
    api.add_router("", router)
phota.add_router("", profiles.router)
phota.add_router("", pictures.router)
tryiton_api.add_router("", tryiton.router)

urlpatterns: list[URLPattern | URLResolver] = [
    path("v1/phota/", phota.urls),
    path("api/v1/", api.urls),
    path("api/key/", tryiton_api.urls),
    path("api/docs/", docs, name="api_docs"),
    path("api/docs/moving/", moving, name="api_moving"),
    path("api/docs/<slug:name>/", docs, name="api_docs_of"),
]
