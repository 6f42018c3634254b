from django.urls import URLPattern, URLResolver, path

from generator.api import account, assets, generations, jobs, portrait_models
from generator.api.docs import docs
from generator.api.moving import moving
from generator.api.own import api

for router in (
    account.router, portrait_models.router, generations.router, jobs.router, assets.router
):  # fmt: skip
    api.add_router("", router)

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", api.urls),
    path("api/docs/", docs, name="api_docs"),
    path("api/docs/moving/", moving, name="api_moving"),
    path("api/docs/<slug:name>/", docs, name="api_docs_of"),
]
