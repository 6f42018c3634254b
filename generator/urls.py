"""Every address of the generator, assembled from its nouns."""

from django.urls import URLPattern, URLResolver

from generator.api.urls import urlpatterns as api
from generator.assets.urls import urlpatterns as assets
from generator.explore.urls import urlpatterns as explore
from generator.influencer.urls import urlpatterns as influencer
from generator.jobs.urls import urlpatterns as jobs
from generator.library.urls import urlpatterns as library
from generator.portraits.urls import urlpatterns as portraits
from generator.portraits.urls_create import urlpatterns as create
from generator.webhooks.urls import urlpatterns as webhooks
from generator.workstation.urls import urlpatterns as workstation

urlpatterns: list[URLPattern | URLResolver] = [
    *create, *portraits, *workstation, *library, *explore, *influencer, *assets, *jobs,
    *webhooks, *api,
]  # fmt: skip
