"""A WSGI application made with Django: a request holds a thread, even if it awaits.

gunicorn --threads 40 django_app:app
"""

import asyncio
import time

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

settings.configure(ROOT_URLCONF=__name__)  # the urlpatterns are in this file


def hello(request):
    time.sleep(1)
    return HttpResponse("Hello, World!\n")


async def hello_async(request):
    await asyncio.sleep(1)
    return HttpResponse("Hello, World!\n")


urlpatterns = [path("", hello), path("async", hello_async)]
app = get_wsgi_application()
