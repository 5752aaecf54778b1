"""A login server of Django. gunicorn serves `application`; `seed` creates its database, django.db."""

import csv
import hashlib
import json
import secrets

import django
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": "django.db",
            "CONN_MAX_AGE": None,
            "OPTIONS": {"init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL"},
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
    PASSWORD_HASHERS=["django_app.Hasher"],
    ROOT_URLCONF="django_app",
    SECRET_KEY=secrets.token_hex(),
    USE_TZ=True,
)
django.setup()

from django.contrib.auth import authenticate
from django.contrib.auth.hashers import BCryptPasswordHasher
from django.contrib.auth.models import User
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.db import connection, models
from django.http import JsonResponse
from django.urls import path
from django.views.decorators.http import require_GET, require_POST


class Hasher(BCryptPasswordHasher):
    rounds = 10


class Token(models.Model):
    digest = models.BinaryField(max_length=32, primary_key=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE)
    created_date = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "peers"


def token_digest(token):
    return hashlib.sha256(token.encode()).digest()


@require_POST
def login(request):
    credentials = json.loads(request.body)
    # Checks the password, and that the user is active.
    user = authenticate(request, username=credentials["username"], password=credentials["password"])
    if user is None:
        return JsonResponse({"detail": "Unable to log in."}, status=401)
    token = secrets.token_hex(20)
    Token.objects.create(digest=token_digest(token), user=user)
    return JsonResponse({"auth_token": token})


@require_GET
def verify_token(request):
    word, _, token = request.headers.get("Authorization", "").partition(" ")
    tokens = Token.objects.select_related("user")
    found = tokens.filter(digest=token_digest(token), user__is_active=True).first()
    if word != "Token" or found is None:
        return JsonResponse({"detail": "Invalid token."}, status=401)
    return JsonResponse({"username": found.user.username})


urlpatterns = [
    path("api/organizations/user-login/", login),
    path("api/organizations/token-verify/", verify_token),
]
application = WSGIHandler()


def seed(users):
    call_command("migrate", verbosity=0)
    with connection.schema_editor() as editor:
        editor.create_model(Token)
    with open(users, newline="") as file:
        for row in csv.DictReader(file):
            User.objects.create_user(row["username"], password=row["password"])
