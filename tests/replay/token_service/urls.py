"""The addresses of the token service."""

from django.urls import path
from oauth2_provider import views

from tests.replay.token_service import resources

urlpatterns = [
    path("oauth/authorize", views.AuthorizationView.as_view()),
    path("oauth/token", views.TokenView.as_view()),
    path("oauth/revoke", views.RevokeTokenView.as_view()),
    path("login/", resources.sign_in),
    path("callback", resources.callback),
    path("api/profile", resources.profile),
    path("api/projects", resources.projects),
    path("api/projects/<str:number>", resources.project),
    path("upload", resources.upload),
]
