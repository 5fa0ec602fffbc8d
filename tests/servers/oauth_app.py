"""The process of `tests.servers.oauth`: a Django project in one file."""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

from demo.servers import HOST
from tests.servers.api import seed_orders

USER, PASSWORD = "ada", "a long password"
PAGED = 420
"""Orders of the list that is paged."""


class _State:
    """What tests have told the provider, and what it saw."""

    def __init__(self) -> None:
        self.delay = 0.0
        self.busy = 0
        self.service_accounts: dict[str, str] = {}
        self.reset()
        self.lock = threading.Lock()

    def reset(self) -> None:
        self.grants: list[tuple[str, int]] = []
        self.logins = 0
        self.expire_in: int | None = None
        self.logout_in: int | None = None

    def count_login(self, **_: object) -> None:
        self.logins += 1


def main(port: int, database: str) -> None:
    import django
    from django.conf import settings
    from django.core.management import call_command

    settings.configure(
        SECRET_KEY="of the tests",
        ALLOWED_HOSTS=["*"],
        USE_TZ=True,
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "oauth2_provider",
            "rest_framework",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {
                    "loaders": [
                        (
                            "django.template.loaders.locmem.Loader",
                            {"registration/login.html": "{% csrf_token %}{{ form }}"},
                        ),
                        "django.template.loaders.app_directories.Loader",
                    ]
                },
            }
        ],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": database,
                "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
            }
        },
        # Secrets of clients are hashed too, and with the default each check takes half a second.
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        OAUTH2_PROVIDER={
            "ROTATE_REFRESH_TOKEN": True,
            "REFRESH_TOKEN_REUSE_PROTECTION": True,
            "PKCE_REQUIRED": True,
            "ALWAYS_RELOAD_OAUTHLIB_CORE": True,  # tests change how long tokens last
            "SCOPES": {"read": "read orders"},
            "ALLOWED_REDIRECT_URI_SCHEMES": ["http"],
        },
    )
    django.setup()
    settings.ROOT_URLCONF = tuple(_urls())
    call_command("migrate", verbosity=0)
    from django.contrib.auth.models import User

    User.objects.create_user(USER, password=PASSWORD)
    _serve(port)


def _serve(port: int) -> None:
    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
    from django.core.wsgi import get_wsgi_application

    server = ThreadedWSGIServer((HOST, port), WSGIRequestHandler)
    server.daemon_threads = True
    server.set_app(get_wsgi_application())
    server.serve_forever()


def _urls() -> list[Any]:
    from django.contrib.auth import authenticate, login
    from django.contrib.auth.decorators import login_required
    from django.contrib.auth.signals import user_logged_in
    from django.contrib.auth.views import LoginView
    from django.http import HttpRequest, HttpResponse, JsonResponse
    from django.urls import path
    from django.views.decorators.csrf import csrf_exempt
    from oauth2_provider import views
    from oauth2_provider.contrib.rest_framework import OAuth2Authentication
    from oauth2_provider.decorators import protected_resource
    from rest_framework.pagination import PageNumberPagination
    from rest_framework.permissions import IsAuthenticated
    from rest_framework.views import APIView

    state = _State()
    user_logged_in.connect(state.count_login)
    rows = seed_orders()

    def page(request: HttpRequest) -> JsonResponse:
        limit, offset = int(request.GET.get("limit", 100)), int(request.GET.get("offset", 0))
        return JsonResponse({"data": rows[offset : offset + limit]})

    @csrf_exempt
    def rest_login(request: HttpRequest) -> JsonResponse:
        """Says 200 to a wrong password too, as many do."""
        user = authenticate(request, **json.loads(request.body))
        if user is not None:
            login(request, user)
        return JsonResponse({"ok": user is not None})

    def api_login_required(view: Any) -> Any:
        return lambda request: (
            view(request) if request.user.is_authenticated else HttpResponse(status=401)
        )

    def counted(view: Any) -> Any:
        """The API, which turns on its clients once it served as many requests as it was told."""

        @csrf_exempt
        def served(request: HttpRequest) -> HttpResponse:
            with state.lock:
                _turn(state)
            answer = view(request)
            # DOT says 403 for a token that is not valid, where RFC 6750 has 401.
            if answer.status_code == 403:
                answer.status_code = 401
            return answer

        return served

    def logged(view: Any) -> Any:
        @csrf_exempt
        def granted(request: HttpRequest) -> HttpResponse:
            grant = request.POST.get("grant_type", "")
            with state.lock:
                is_busy, state.busy = state.busy > 0, state.busy - 1
            answer: HttpResponse = HttpResponse(status=503) if is_busy else view(request)
            with state.lock:
                state.grants.append((grant.rpartition(":")[2], answer.status_code))
            time.sleep(state.delay)
            return answer

        return granted

    class ByNumber(PageNumberPagination):
        page_size = 50

    class Orders(APIView):
        """The first orders, page by page, to the bearers of tokens."""

        authentication_classes = (OAuth2Authentication,)
        permission_classes = (IsAuthenticated,)

        def get(self, request: Any) -> Any:
            paginator = ByNumber()
            found = paginator.paginate_queryset(rows[:PAGED], request)  # type: ignore[arg-type]
            return paginator.get_paginated_response(found)

    @csrf_exempt
    def tell(request: HttpRequest, what: str) -> JsonResponse:
        return JsonResponse(_told(state, what, json.loads(request.body)))

    return [
        path("o/authorize/", views.AuthorizationView.as_view()),
        path("o/token/", logged(views.TokenView.as_view())),
        path("o/revoke_token/", views.RevokeTokenView.as_view()),
        path("assertion/token/", logged(_assertion_view(state))),
        path("accounts/login/", LoginView.as_view()),
        path("api/orders", counted(protected_resource()(page))),
        path("paged/orders", counted(Orders.as_view())),
        path("web/orders", counted(login_required(page))),
        path("rest/login", rest_login),
        path("rest/orders", counted(api_login_required(page))),
        path("test/<what>", tell),
    ]


def _turn(state: _State) -> None:
    from django.contrib.sessions.models import Session
    from django.utils import timezone
    from oauth2_provider.models import AccessToken

    if state.expire_in == 0:
        AccessToken.objects.update(expires=timezone.now())
    if state.logout_in == 0:
        Session.objects.all().delete()
    state.expire_in = None if not state.expire_in else state.expire_in - 1
    state.logout_in = None if not state.logout_in else state.logout_in - 1


def _told(state: _State, what: str, told: dict[str, Any]) -> dict[str, Any]:
    from oauth2_provider.generators import generate_client_secret
    from oauth2_provider.models import Application
    from oauth2_provider.settings import oauth2_settings

    with state.lock:
        match what:
            case "client":
                secret = generate_client_secret()
                made = Application.objects.create(
                    client_secret=secret,
                    authorization_grant_type=told["grant"],
                    client_type="public" if told["is_public"] else "confidential",
                    redirect_uris=told["redirect_uri"],
                    skip_authorization=True,
                )
                return {"id": made.client_id, "secret": "" if told["is_public"] else secret}
            case "service-account":
                state.service_accounts[told["name"]] = told["public_key"]
            case "settings":
                oauth2_settings.ACCESS_TOKEN_EXPIRE_SECONDS = told["access_seconds"]
                state.delay, state.busy = told["delay"], told["busy"]
            case "reset":
                state.reset()
            case "expire":
                state.expire_in = told["after_requests"]
            case "logout":
                state.logout_in = told["after_requests"]
        if told.get("after_requests") == 0:
            _turn(state)
        return {"grants": state.grants, "logins": state.logins}


def _assertion_view(state: _State) -> Any:
    """RFC 7523, which django-oauth-toolkit does not have; the tokens are its own."""
    from datetime import timedelta

    from authlib.integrations.django_oauth2 import AuthorizationServer
    from authlib.oauth2.rfc7523 import JWTBearerGrant
    from django.contrib.auth.models import User
    from django.utils import timezone
    from oauth2_provider.models import AccessToken

    class Account:
        client_id = "service account"

        def __init__(self, public_key: str) -> None:
            self.public_key = public_key

        def check_grant_type(self, grant: str) -> bool:
            return True

        def get_allowed_scope(self, scope: str | None) -> str:
            return scope or ""

    class Grant(JWTBearerGrant):
        def get_audiences(self) -> list[str]:
            return [self.request.uri]

        def resolve_issuer_client(self, issuer: str) -> Account | None:
            key = state.service_accounts.get(issuer)
            return Account(key) if key else None

        def resolve_client_public_key(self, client: Account) -> str:
            return client.public_key

        def authenticate_user(self, subject: str) -> Any:
            return User.objects.filter(username=subject).first()

        def has_granted_permission(self, client: Account, user: Any) -> bool:
            return True

    class Server(AuthorizationServer):
        def save_token(self, token: dict[str, Any], request: Any) -> None:
            AccessToken.objects.create(
                user=request.user,
                token=token["access_token"],
                expires=timezone.now() + timedelta(seconds=token["expires_in"]),
                scope="read",
            )

    server = Server(None, None)
    server.register_grant(Grant)
    return server.create_token_response


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
