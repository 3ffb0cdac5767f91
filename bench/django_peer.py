"""The peer of the deletion: Django's collector, with the cascades declared on its models."""

from __future__ import annotations

from time import perf_counter
from typing import Any
from urllib.parse import urlsplit


def delete(dsn: str) -> dict[str, Any]:
    """Delete the customer as an application would: one call on its object, in a transaction."""
    import django  # noqa: PLC0415 - only the environment of the benchmarks has it
    from django.conf import settings  # noqa: PLC0415 - as above

    url = urlsplit(dsn)
    base = {"ENGINE": "django.db.backends.postgresql", "HOST": url.hostname, "PORT": url.port, "USER": url.username}
    database = {**base, "PASSWORD": url.password or "", "NAME": url.path[1:]}
    # Relations are followed among the models of installed applications only.
    settings.configure(DATABASES={"default": database}, INSTALLED_APPS=["bench"])
    django.setup()
    customer = models()
    began = perf_counter()
    rows, _ = customer.objects.get(pk="acme").delete()
    return {"seconds": perf_counter() - began, "rows": rows}


def models() -> Any:
    """Declare the four tables; Django wants this after its setup."""
    from django.db import models as m  # noqa: PLC0415 - Django refuses it before its setup

    def model(table: str, **fields: Any) -> Any:
        meta = type("Meta", (), {"app_label": "bench", "db_table": table, "managed": False})
        return type(table.title(), (m.Model,), {"__module__": __name__, "Meta": meta, **fields})

    def belonging(to: Any) -> Any:
        return m.ForeignKey(to, on_delete=m.CASCADE)

    customer = model("customers", id=m.TextField(primary_key=True))
    user = model("users", id=m.BigIntegerField(primary_key=True), customer=belonging(customer))
    enrolment = model("enrolments", id=m.BigIntegerField(primary_key=True), user=belonging(user))
    model("results", id=m.BigIntegerField(primary_key=True), enrolment=belonging(enrolment))
    return customer
